// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Plaintext of a heartbeat, version 2, numbers in network byte order:
///
///     0  version  1  flags                   2  cluster          4  instance
///     12 sequence 20 sent at, ns                  28 interval, ms     30 wanted, ms
///     32 echo     40 hold, us                     44 drain generation 52 head (epoch, revision)
///     64 rollup   80 relay set generation         88 capacity       92 used of it
///     96 testimonies: count (1), then each hash of the name (8), heard (1)
///     then beats missing inside the overlay (1); one that ends before it doesn't say
///
/// Flags: 1 draining, 2 echo, 4 out of schedule, 8 no longer planned, 16 takes beats inside the
/// overlay, 32 the beat before went there; others are zero and ignored.
extension Heartbeat {
    public static let version: UInt8 = 2
    /// Without testimonies; a later version may append what this one ignores, up to `encodedMaximum`.
    public static let encodedLength = 98
    /// A cluster has three relays at most; twice as many while its set of them changes.
    public static let testimoniesMaximum = 8
    public static let encodedMaximum = 512

    private enum Flag {
        static let draining: UInt8 = 1
        static let echo: UInt8 = 2
        static let unscheduled: UInt8 = 4
        static let unplanned: UInt8 = 8
        static let takesInside: UInt8 = 16
        static let followsInside: UInt8 = 32
    }

    private var flags: UInt8 {
        (drain.isDraining ? Flag.draining : 0) | (echo == nil ? 0 : Flag.echo)
            | (isScheduled ? 0 : Flag.unscheduled) | (isPlanned ? 0 : Flag.unplanned)
            | (takesInside ? Flag.takesInside : 0) | (followsInside ? Flag.followsInside : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.write(flags)
        writer.write(cluster.rawValue)
        writer.write(instance)
        writer.write(sequence)
        writer.write(sentAt.nanoseconds)
        writer.write(UInt16(clamping: max(interval.nanoseconds / 1_000_000, 1)))
        writer.write(UInt16(clamping: max(wanted.nanoseconds / 1_000_000, 1)))
        writer.write(echo?.sequence ?? 0)
        writer.write(UInt32(clamping: (echo?.hold.nanoseconds ?? 0) / 1000))
        writer.write(drain.generation)
        writer.write(head)
        writer.write(rollup.high)
        writer.write(rollup.low)
        writer.write(relaySetGeneration)
        writer.write(workload)
        let told = testimonies.prefix(Self.testimoniesMaximum)
        writer.write(UInt8(told.count))
        for testimony in told {
            writer.write(testimony.nameHash)
            writer.write(testimony.isHeard)
        }
        writer.write(insideMissed)
        return writer.bytes
    }

    /// - Throws: ``DecodingFault``: the datagram is ignored and counted, its path is unchanged.
    public init(encoded bytes: some Collection<UInt8>) throws(DecodingFault) {
        guard bytes.count <= Self.encodedMaximum else { throw .tooLong("heartbeat") }
        var reader = ByteReader(bytes)
        let version = try reader.read(UInt8.self)
        guard version >= Self.version else { throw .unsupportedVersion(version) }
        let flags = try reader.read(UInt8.self)
        guard let cluster = ClusterID(rawValue: try reader.read()) else {
            throw .invalid("cluster")
        }
        self.cluster = cluster
        instance = try reader.read()
        sequence = try reader.read()
        sentAt = Instant(nanoseconds: try reader.read())
        interval = .milliseconds(Int64(try reader.read(UInt16.self)))
        wanted = .milliseconds(Int64(try reader.read(UInt16.self)))
        isScheduled = flags & Flag.unscheduled == 0
        isPlanned = flags & Flag.unplanned == 0
        takesInside = flags & Flag.takesInside != 0
        followsInside = flags & Flag.followsInside != 0
        insideMissed = 0
        guard sequence > 0 else { throw .invalid("sequence") }
        guard interval > .zero, wanted > .zero else { throw .invalid("interval") }
        let echoed = HeartbeatEcho(
            sequence: try reader.read(), hold: .microseconds(Int64(try reader.read(UInt32.self))))
        echo = flags & Flag.echo == 0 ? nil : echoed
        drain = DrainDeclaration(
            generation: try reader.read(), isDraining: flags & Flag.draining != 0)
        head = try reader.readPosition()
        rollup = RollupHash(high: try reader.read(), low: try reader.read())
        relaySetGeneration = try reader.read()
        workload = try reader.readWorkload()
        let count = Int(try reader.read(UInt8.self))
        guard count <= Self.testimoniesMaximum else { throw .tooLong("testimonies") }
        testimonies = []
        for _ in 0..<count {
            testimonies.append(
                Testimony(nameHash: try reader.read(), isHeard: try reader.readBool()))
        }
        if reader.remaining > 0 { insideMissed = try reader.read() }
    }
}
