// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

extension PolicyTable {
    /// Elements written by one system call.
    private static let batch = 8192

    /// Puts versions in force, all of them or none; what is in force already costs no write.
    ///
    /// - Parameter reclaim: frees what is retired; called only when room ran out.
    /// - Returns: the numbers of the versions.
    /// - Throws: `.mapFull`, `.invalid`: what was in force stays, nothing of the new remains.
    mutating func publish(
        _ images: [(image: PolicyImage, sets: [UInt32])],
        reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) -> [UInt32] {
        for (image, sets) in images {
            guard !sets.isEmpty,
                sets.allSatisfy({ $0 != UInt32(WEFT_POLICY_ALLOW_ALL) && $0 < words.count })
            else { throw .invalid("\(sets) are no numbers of policy sets") }
            guard image.blocks == 0 || generations[image.blocks] != nil else {
                throw .invalid("policy set \(sets[0]): its blocks \(image.blocks) aren't there")
            }
        }
        var numbers: [UInt32] = []
        var made: [UInt32] = []
        do {
            for (image, sets) in images {
                let number = try makeVersion(image, of: sets, reclaim)
                if versions[number]?.uses == 0 { made.append(number) }
                numbers.append(number)
            }
        } catch {
            // No word has led to them yet.
            for number in made { try discard(number) }
            throw error
        }
        for (number, (_, sets)) in zip(numbers, images) {
            for set in sets { lead(set, to: number) }
        }
        return numbers
    }

    /// Has another set share the version of one that has one.
    mutating func share(_ set: UInt32, with other: UInt32) throws(DatapathError) {
        guard set != UInt32(WEFT_POLICY_ALLOW_ALL), set < words.count, let number = sets[other]
        else { throw .invalid("policy set \(other) has no version to share") }
        lead(set, to: number)
    }

    /// The version that the first of the sets has if it is the same and no other set has it, whose
    /// peers may change otherwise; else a new one in the kernel, which no word names yet.
    private mutating func makeVersion(
        _ image: PolicyImage, of holders: [UInt32], _ reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) -> UInt32 {
        if image == .allowAll { return Self.allowAll }
        let set = holders[0]
        var wanted = try lists(of: image)
        for list in wanted.values { _ = lists.adopt(list) }
        do {
            try use(image, of: set, into: &wanted, reclaim)
            if let number = sets[set], let current = versions[number],
                current.uses == Set(holders).count(where: { sets[$0] == number }),
                current.blocks == image.blocks, current.lists == wanted
            {
                for list in wanted.values { lists.release(list) }
                return number
            }
            let version = Version(number: nextVersion(), blocks: image.blocks, lists: wanted)
            try write(version, of: set, reclaim)
            versions[version.number] = version
            return version.number
        } catch {
            for list in wanted.values { lists.release(list) }
            throw error
        }
    }

    /// Those of the version that an image differs from.
    private func lists(of image: PolicyImage) throws(DatapathError) -> [Entry: UInt32] {
        guard let base = image.base else { return [:] }
        guard let version = sets[base].flatMap({ versions[$0] }), version.blocks == image.blocks
        else { throw .invalid("policy set \(base) has no version with the blocks \(image.blocks)") }
        return version.lists
    }

    /// Takes a version away that no program has seen.
    private mutating func discard(_ number: UInt32) throws(DatapathError) {
        guard let version = versions.removeValue(forKey: number) else { return }
        try peers.delete(version.lists.keys.map { $0.key(in: number) })
        peerCount -= version.lists.count
        for list in version.lists.values { lists.release(list) }
    }

    /// Finds or makes the lists of a version. What it used before it throws is in `wanted`.
    private mutating func use(
        _ image: PolicyImage, of set: UInt32, into wanted: inout [Entry: UInt32],
        _ reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) {
        func put(_ intervals: [PolicyInterval], _ entry: Entry) throws(DatapathError) {
            let list =
                intervals.isEmpty && image.base != nil && entry.peer != Entry.anyone
                ? nil : try use(intervals, for: entry, of: set, reclaim)
            let former = wanted[entry]
            wanted[entry] = list
            if let former { lists.release(former) }
        }
        wanted.reserveCapacity(wanted.count + 2 + image.egress.count + image.ingress.count)
        for direction in FlowPolicy.Direction.allCases {
            let (standard, own) =
                switch direction {
                case .egress: (image.standard.egress, image.egress)
                case .ingress: (image.standard.ingress, image.ingress)
                }
            guard own[Entry.anyone] == nil else { throw Self.reserved }
            try put(standard, Entry(peer: Entry.anyone, direction: direction))
            for (peer, intervals) in own {
                try put(intervals, Entry(peer: peer, direction: direction))
            }
        }
    }

    private static var reserved: DatapathError {
        .invalid("identity \(Entry.anyone.identity) stands for everybody else")
    }

    private mutating func use(
        _ intervals: [PolicyInterval], for entry: Entry, of set: UInt32,
        _ reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) -> UInt32 {
        func subject() -> String {
            let peer = entry.peer
            let name = peer == Entry.anyone ? "everybody else" : "identity \(peer.identity)"
            return "policy set \(set), \(entry.direction), \(name)"
        }
        let words = try PolicyLists.words(intervals, subject())
        if let list = lists.use(words) { return list }
        reclaim(&self)
        if let list = lists.use(words) { return list }
        throw .mapFull(map: lists.name, action: "publishing \(subject())")
    }

    /// Writes the elements of a version that no word names yet. If that fails, none remains.
    private mutating func write(
        _ version: Version, of set: UInt32, _ reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) {
        let action = "publishing policy set \(set)"
        try makeRoom(for: version.lists.count, action, reclaim)
        let elements = version.lists.map { entry, list in
            let key = entry.key(in: version.number)
            return (key: key, value: key.value(leadingTo: list))
        }
        for start in stride(from: 0, to: elements.count, by: Self.batch) {
            let part = Array(elements[start..<min(start + Self.batch, elements.count)])
            guard let error = peers.update(part, for: { _ in action }).first?.value else {
                continue
            }
            try peers.delete(elements.prefix(start + part.count).map(\.key))
            throw error
        }
        peerCount += elements.count
    }

    private mutating func makeRoom(
        for count: Int, _ action: @autoclosure () -> String,
        _ reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) {
        if peerCount + count > peers.capacity { reclaim(&self) }
        guard peerCount + count <= peers.capacity else {
            throw .mapFull(map: peers.name, action: action())
        }
    }
}

// MARK: one peer

extension PolicyTable {
    /// - Throws: `.mapFull`, `.invalid`: the peer's lists are what they were.
    mutating func setPeer(
        _ peer: DatapathPeer, egress: [PolicyInterval]?, ingress: [PolicyInterval]?,
        in set: UInt32, reclaim: (inout PolicyTable) -> Void
    ) throws(DatapathError) {
        guard peer != Entry.anyone else { throw Self.reserved }
        guard let number = sets[set], let held = versions[number]?.lists else {
            throw .invalid("policy set \(set) has no version in force with lists")
        }
        var wanted: [(entry: Entry, list: UInt32?)] = []
        do {
            for (direction, intervals) in [
                (FlowPolicy.Direction.egress, egress), (.ingress, ingress),
            ] {
                let entry = Entry(peer: peer, direction: direction)
                let list: UInt32? =
                    if let intervals { try use(intervals, for: entry, of: set, reclaim) } else {
                        nil
                    }
                wanted.append((entry, list))
            }
            let newcomers = wanted.count { $0.list != nil && held[$0.entry] == nil }
            try makeRoom(for: newcomers, "adding a peer to policy set \(set)", reclaim)
        } catch {
            for case let list? in wanted.map(\.list) { lists.release(list) }
            throw error
        }
        try change(wanted, in: number, of: set)
    }

    /// Leads elements of a version in force to other lists, each of which was used; if one fails,
    /// those before it go back.
    private mutating func change(
        _ wanted: [(entry: Entry, list: UInt32?)], in number: UInt32, of set: UInt32
    ) throws(DatapathError) {
        let former = wanted.map { versions[number]?.lists[$0.entry] }
        var failure: DatapathError?
        for (entry, list) in wanted where versions[number]?.lists[entry] != list {
            do throws(DatapathError) {
                try lead(entry, to: list, in: number, of: set)
            } catch {
                failure = error
                break
            }
        }
        for (step, former) in zip(wanted, former) {
            if failure != nil, versions[number]?.lists[step.entry] != former {
                // The first error is what to act on; the table knows what the kernel holds.
                do { try lead(step.entry, to: former, in: number, of: set) } catch {}
            }
            if step.list == former {
                // Used once more than there are elements.
                if let former { lists.release(former) }
            } else {
                // Programs may read the one that no element leads to now.
                let isChanged = versions[number]?.lists[step.entry] == step.list
                if let list = isChanged ? former : step.list { retired.lists.append(list) }
            }
        }
        if let failure { throw failure }
    }

    private mutating func lead(
        _ entry: Entry, to list: UInt32?, in number: UInt32, of set: UInt32
    ) throws(DatapathError) {
        guard let version = versions[number] else { return }
        let key = entry.key(in: version.number)
        if let list {
            try peers.update(
                key, key.value(leadingTo: list), for: "adding a peer to policy set \(set)")
        } else {
            try peers.delete(key)
        }
        let isNew = version.lists[entry] == nil
        peerCount += (list == nil ? 0 : 1) - (isNew ? 0 : 1)
        versions[number]?.lists[entry] = list
    }
}

extension PolicyTable.Entry {
    func key(in version: UInt32) -> weft_policy_peer_key {
        weft_policy_peer_key(
            version: version, identity: peer.identity.rawValue, block: peer.block,
            direction: direction.rawValue, pad0: 0, pad1: 0)
    }

    /// Nil for a direction that there isn't.
    init?(_ key: weft_policy_peer_key) {
        guard let direction = FlowPolicy.Direction(rawValue: key.direction) else { return nil }
        self.direction = direction
        peer = DatapathPeer(identity: Identity(rawValue: key.identity), block: key.block)
    }
}

extension weft_policy_peer_key {
    func value(leadingTo list: UInt32) -> UInt64 {
        var key = self
        return UInt64(weft_policy_tag(&key, list)) << 32 | UInt64(list)
    }
}
