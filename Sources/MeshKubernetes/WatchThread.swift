// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Wakes a thread from ``waitForInput(_:_:milliseconds:)`` and stays signalled.
final class WakeSignal: Sendable {
    /// Readable once signalled.
    let descriptor: Int32
    private let writer: Int32

    init(path: String) throws(FolderError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw FolderError(path: path, errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, writer) = (ends[0], ends[1])
    }

    /// May be called more than once; a full pipe is signalled already.
    func signal() { _ = write(writer, [1], 1) }

    deinit {
        close(descriptor)
        close(writer)
    }
}

/// Waits until one of two descriptors is readable; -1 milliseconds wait without end.
func waitForInput(
    _ first: Int32, _ second: Int32, milliseconds: Int32
) -> (first: Bool, second: Bool) {
    var descriptors = [
        pollfd(fd: first, events: Int16(POLLIN), revents: 0),
        pollfd(fd: second, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&descriptors, 2, milliseconds) > 0 else { return (false, false) }
    return (descriptors[0].revents != 0, descriptors[1].revents != 0)
}

/// Runs `body` on a thread of its own, whose stack is deep enough for YAML at libyaml's limit of
/// 1,000 levels.
///
/// - Returns: false if the system has no more threads.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    let box = Unmanaged.passRetained(ThreadBody(body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 8 << 20)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, &attributes,
        { argument in
            guard let argument else { return nil }
            Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
    if code != 0 { box.release() }
    return code == 0
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
