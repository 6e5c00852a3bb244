// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF
internal import Glibc

/// Reads records that programs write to a ring-buffer map. One consumer at a time.
///
/// Unchecked: libbpf's reader is used by whoever owns this value, one call at a time.
public struct RingBuffer: ~Copyable, @unchecked Sendable {
    public let map: BPFMap
    private let handle: OpaquePointer
    private let receiver: Receiver

    /// Where libbpf's callback finds the closure of the call that runs.
    private final class Receiver {
        var body: ((UnsafeRawBufferPointer) -> Void)?
    }

    public init(_ map: consuming BPFMap) throws(BPFError) {
        try map.require([.ringBuffer], keySize: 0, valueSize: 0)
        let receiver = Receiver()
        let handle = ring_buffer__new(
            map.descriptor.rawValue,
            { context, data, size in
                guard let context else { return 0 }
                Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
                    .body?(UnsafeRawBufferPointer(start: data, count: size))
                return 0
            }, Unmanaged.passUnretained(receiver).toOpaque(), nil)
        guard let handle else {
            throw BPFError(result: -errno, action: "reading the ring buffer \(map.name)")
        }
        self.init(map, handle, receiver)
    }

    private init(_ map: consuming BPFMap, _ handle: OpaquePointer, _ receiver: Receiver) {
        self.map = map
        self.handle = handle
        self.receiver = receiver
    }

    deinit { ring_buffer__free(handle) }

    /// Readable while records wait; owned by this value.
    public var pollDescriptor: Int32 { ring_buffer__epoll_fd(handle) }

    /// Hands every waiting record to `body`, whose memory is valid during the call only.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func consume(_ body: (UnsafeRawBufferPointer) -> Void) throws(BPFError) -> Int {
        try run(body, "reading the ring buffer \(map.name)") { ring_buffer__consume(handle) }
    }

    /// As ``consume(_:)``, after waiting for a record.
    ///
    /// - Parameter timeoutMilliseconds: −1 waits for ever; a timeout returns 0.
    @discardableResult
    public func poll(
        timeoutMilliseconds: Int32, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(BPFError) -> Int {
        try run(body, "waiting for the ring buffer \(map.name)") {
            ring_buffer__poll(handle, timeoutMilliseconds)
        }
    }

    private func run(
        _ body: (UnsafeRawBufferPointer) -> Void, _ action: @autoclosure () -> String,
        _ call: () -> Int32
    ) throws(BPFError) -> Int {
        let result = withoutActuallyEscaping(body) { body in
            receiver.body = body
            defer { receiver.body = nil }
            return call()
        }
        return Int(try check(result, action()))
    }
}
