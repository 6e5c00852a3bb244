// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One's table on its way to a member, some datagrams per round.
struct Telling: Sendable {
    let slot: Int
    let wantsAnswer: Bool
    /// The next slot to be told.
    var cursor = 0
}

extension Membership {
    // MARK: Gossip

    mutating func gossip(at time: Instant, into effects: inout MembershipEffects) {
        guard !queue.isEmpty || !tellings.isEmpty else { return }
        nextGossip = time + parameters.gossipInterval
        let listeners = choose(parameters.gossipNodes) { _ in true }
        for slot in listeners where !queue.isEmpty {
            send(.gossip, to: slot, into: &effects)
        }
        continueTellings(into: &effects)
    }

    /// Sends a message with statements about `slots` and as much of the queue as fits.
    mutating func send(
        _ message: Message, to slot: Int, with slots: [Int] = [],
        into effects: inout MembershipEffects
    ) {
        guard let name = members[slot]?.name else { return }
        var writer = ByteWriter()
        Datagram.write(message, incarnation, workload, to: &writer)
        for statement in slots.compactMap({ members[$0]?.statement }) {
            Datagram.write(statement, to: &writer)
        }
        if !queue.isEmpty { writeNews(except: slots, to: &writer) }
        push(writer.bytes, to: name, into: &effects)
    }

    private mutating func writeNews(except slots: [Int], to writer: inout ByteWriter) {
        var told: [Int] = []
        var misfits = 0
        queue.visit { slot in
            guard !slots.contains(slot), let statement = members[slot]?.statement else {
                return true
            }
            if Self.fits(statement, writer) {
                Datagram.write(statement, to: &writer)
                told.append(slot)
            } else {
                misfits += 1
            }
            return misfits < 4
        }
        let limit =
            flaws.contains(.gossipNeverEnds)
            ? Int.max : parameters.retransmits(members: census.present)
        for slot in told { queue.tell(slot, limit: limit) }
    }

    private static func fits(_ statement: Statement, _ writer: ByteWriter) -> Bool {
        writer.bytes.count + Datagram.fieldHeader + statement.encodedCount
            <= MembershipParameters.Limit.datagram
    }

    private mutating func push(
        _ bytes: [UInt8], to name: String, into effects: inout MembershipEffects
    ) {
        counters.datagramsSent += 1
        counters.bytesSent += UInt64(bytes.count)
        effects.sends.append(OutgoingDatagram(to: name, bytes: bytes))
    }

    // MARK: Anti-entropy

    /// Equal in two members that hold the same of everybody. A hint to compare, not a proof: who
    /// could forge it may as well lie in the table.
    var tableDigest: UInt64 {
        members.reduce(0) { sum, member in
            guard let member, member.state != .unknown else { return sum }
            return sum &+ member.digest
        }
    }

    /// Asks one present member whether it holds the same.
    mutating func sync(at time: Instant, into effects: inout MembershipEffects) {
        syncs += 1
        nextSync =
            time
            + (syncs < parameters.startSyncs
                ? parameters.startSyncInterval
                : parameters.syncInterval(members: census.present))
        guard let slot = choose(1, where: { !$0.isGone }).first else { return }
        send(.digest(tableDigest), to: slot, into: &effects)
    }

    mutating func compare(_ digest: UInt64, with slot: Int) {
        if digest != tableDigest { tell(slot, wantsAnswer: true) }
    }

    /// Begins to tell a member all that is held here, unless it or too many are being told.
    mutating func tell(_ slot: Int, wantsAnswer: Bool) {
        guard tellings.count < MembershipParameters.Limit.tellings,
            !tellings.contains(where: { $0.slot == slot })
        else { return }
        tellings.append(Telling(slot: slot, wantsAnswer: wantsAnswer))
    }

    private mutating func continueTellings(into effects: inout MembershipEffects) {
        for index in tellings.indices {
            for _ in 0..<parameters.chunksPerRound where tellings[index].cursor < members.count {
                sendChunk(of: index, into: &effects)
            }
        }
        tellings.removeAll { $0.cursor >= members.count }
    }

    private mutating func sendChunk(of index: Int, into effects: inout MembershipEffects) {
        guard let name = members[tellings[index].slot]?.name else {
            tellings[index].cursor = members.count
            return
        }
        var writer = ByteWriter()
        // The first one asks: an answer per datagram would be one too many.
        let wantsAnswer = tellings[index].wantsAnswer && tellings[index].cursor == 0
        Datagram.write(
            .table(wantsAnswer: wantsAnswer), incarnation, workload, to: &writer)
        while tellings[index].cursor < members.count {
            if let member = members[tellings[index].cursor], member.state != .unknown {
                guard Self.fits(member.statement, writer) else { break }
                Datagram.write(member.statement, to: &writer)
            }
            tellings[index].cursor += 1
        }
        push(writer.bytes, to: name, into: &effects)
    }
}
