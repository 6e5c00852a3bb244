// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a relay tells the nodes of its own cluster about its paths: all of them, each time.
public struct RelayReport: Hashable, Sendable {
    /// A relay that has more tells of the first ones; 500 clusters make 500 at three relays each.
    public static let pathsMaximum = 1024

    /// Name of the reporting node.
    public var relay: String
    /// Rises with every report of a life; a lower one is late and ignored.
    public var sequence: UInt64
    /// Different in every life of the relay.
    public var instance: UInt64
    /// The relay's own timers were late: its paths are not to be counted.
    public var isAbstaining: Bool
    /// Of the own cluster, as this relay sums it up; nil: not known.
    public var workload: Workload?
    /// In the order of their remote nodes.
    public var paths: [PathStatus]

    public init(
        relay: String, sequence: UInt64, instance: UInt64, isAbstaining: Bool,
        workload: Workload? = nil, paths: [PathStatus]
    ) {
        self.relay = relay
        self.sequence = sequence
        self.instance = instance
        self.isAbstaining = isAbstaining
        self.workload = workload
        self.paths = paths
    }
}

extension RelayReport {
    public static let version: UInt8 = 2
    private static let nameMaximum = 253
    /// Stands for "no beat yet" and "not measured".
    private static let none = UInt32.max
    private static let noneInside = UInt8.max

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(relay)
        writer.write(sequence)
        writer.write(instance)
        writer.write(isAbstaining)
        writer.write(workload)
        writer.write(list: paths.prefix(Self.pathsMaximum)) { writer, path in
            writer.write(path.remote.cluster.rawValue)
            writer.write(path.remote.name)
            writer.write(path.state.rawValue)
            writer.write(path.missed)
            writer.write(path.beats)
            writer.write(path.silence.map { Self.clamp($0.nanoseconds / 1_000_000) } ?? Self.none)
            writer.write(path.roundTrip.map { Self.clamp($0.nanoseconds / 1000) } ?? Self.none)
            writer.write(path.drain.isDraining)
            writer.write(path.drain.generation)
            writer.write(path.head)
            writer.write(path.relaySetGeneration)
            writer.write(path.workload)
        }
        // Behind what a reader of an earlier version takes.
        for path in paths.prefix(Self.pathsMaximum) {
            writer.write(path.insideMissed ?? Self.noneInside)
        }
        return writer.bytes
    }

    /// - Throws: ``DecodingFault``: the report is ignored and counted; the relay's last one stays in
    ///   force until it is too old.
    public init(encoded bytes: some Sequence<UInt8>) throws(DecodingFault) {
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version >= Self.version else { throw .unsupportedVersion(version) }
        relay = try reader.readString(max: Self.nameMaximum, "relay")
        sequence = try reader.read()
        instance = try reader.read()
        isAbstaining = try reader.readBool()
        workload = try reader.readWorkload()
        paths = try reader.readList(max: Self.pathsMaximum, "paths") {
            reader throws(DecodingFault) in try Self.readPath(&reader)
        }
        guard reader.remaining > 0 else { return }
        for index in paths.indices {
            let inside = try reader.read(UInt8.self)
            paths[index].insideMissed = inside == Self.noneInside ? nil : inside
        }
    }

    private static func readPath(_ reader: inout ByteReader) throws(DecodingFault) -> PathStatus {
        guard let cluster = ClusterID(rawValue: try reader.read()),
            let remote = NodeID(
                cluster: cluster, name: try reader.readString(max: nameMaximum, "node"))
        else { throw .invalid("node") }
        guard let state = PathState(rawValue: try reader.read()) else { throw .invalid("state") }
        let missed = try reader.read(UInt8.self)
        let beats = try reader.read(UInt8.self)
        let silence = try reader.read(UInt32.self)
        let roundTrip = try reader.read(UInt32.self)
        let isDraining = try reader.readBool()
        return PathStatus(
            remote: remote, state: state, missed: missed, beats: beats,
            silence: silence == none ? nil : .milliseconds(Int64(silence)),
            roundTrip: roundTrip == none ? nil : .microseconds(Int64(roundTrip)),
            drain: DrainDeclaration(generation: try reader.read(), isDraining: isDraining),
            head: try reader.readPosition(), relaySetGeneration: try reader.read(),
            workload: try reader.readWorkload())
    }

    private static func clamp(_ value: Int64) -> UInt32 {
        min(UInt32(clamping: value), none - 1)
    }
}
