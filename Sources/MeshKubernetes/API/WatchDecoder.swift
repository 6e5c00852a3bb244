// SPDX-License-Identifier: Apache-2.0

/// Cuts the body of a watch into events, whatever the pieces it arrives in.
public struct WatchDecoder: Sendable {
    /// An object's largest size and what stands around it.
    public static let maximumLineBytes = ObjectText.maximumBytes + 1024

    private var line: [UInt8] = []
    /// Whether the rest of the line is thrown away.
    private var isOverlong = false

    public init() {}

    /// Whether the stream may end here: it doesn't, in the middle of an object.
    public var isBetweenLines: Bool { line.isEmpty && !isOverlong }

    /// - Returns: events that are complete, and what is wrong with the line behind them: nothing of it
    ///   is used, and the stream is to be given up.
    public mutating func decode(
        _ bytes: some Sequence<UInt8>
    ) -> (events: [WatchEvent], fault: JSONFault?) {
        var events: [WatchEvent] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                do throws(JSONFault) {
                    if let event = try finishLine() { events.append(event) }
                } catch {
                    return (events, error)
                }
            } else if line.count < Self.maximumLineBytes {
                line.append(byte)
            } else {
                isOverlong = true
            }
        }
        return (events, nil)
    }

    private mutating func finishLine() throws(JSONFault) -> WatchEvent? {
        defer {
            line.removeAll(keepingCapacity: line.capacity <= 256 << 10)
            isOverlong = false
        }
        if isOverlong { return try WatchEvent(prefix: line) }
        guard line.contains(where: { $0 > 0x20 }) else { return nil }
        return try WatchEvent(line: line)
    }
}
