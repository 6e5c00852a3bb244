// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel

/// Publishes services: backends and lists by plain stores into memory that no program reads yet,
/// then one store of a word that makes them the service's.
///
/// The kernel's maps are the only copy of lists and backends; this table knows slots and which
/// memory is free, and rebuilds both from pinned maps.
struct ServiceTable: Sendable {
    private let frontends: any KeyedMap<weft_frontend_key, UInt32>
    private let services: any WordArray
    private let lists: any Slab<weft_slice>
    private let backends: any Slab<weft_backend>

    private(set) var slots: [FrontendKey: UInt32] = [:]
    private(set) var freeSlots: RangeAllocator
    private(set) var freeLists: RangeAllocator
    private(set) var freeBackends: RangeAllocator
    /// What programs that run now may still read.
    private(set) var retired = RetiredMemory()

    /// Takes over what pinned maps hold. A frontend whose list makes no sense is emptied; it gets
    /// its backends again with the next ``apply(_:reclaim:)``.
    init(_ storage: Storage) throws(DatapathError) {
        frontends = storage.frontends
        services = storage.services
        lists = storage.lists
        backends = storage.backends
        freeSlots = RangeAllocator(0..<services.count)
        // List 0 is what an empty service refers to.
        freeLists = RangeAllocator(min(1, lists.count)..<lists.count)
        freeBackends = RangeAllocator(0..<backends.count)
        for (key, slot) in try frontends.elements() {
            guard let frontend = FrontendKey(key) else { continue }
            try restore(frontend, slot: slot)
        }
    }

    private mutating func restore(
        _ frontend: FrontendKey, slot: UInt32
    ) throws(DatapathError) {
        guard freeSlots.reserve(Int(slot)..<Int(slot) + 1) else {
            try frontends.delete(weft_frontend_key(frontend))
            return
        }
        slots[frontend] = slot
        var taken = RetiredMemory()
        guard let list = published(in: slot) else { return empty(slot) }
        let isSound = list.isEmpty || take(list, into: &taken)
        guard !isSound else { return }
        release(taken)
        empty(slot)
    }

    /// Reserves a list's memory; false when part of it is another's.
    private mutating func take(_ list: PublishedList, into taken: inout RetiredMemory) -> Bool {
        guard freeLists.reserve(list.range) else { return false }
        taken.lists.append(list.range)
        for slice in list.slices {
            guard freeBackends.reserve(slice.range) else { return false }
            taken.backends.append(slice.range)
        }
        return true
    }

    private func empty(_ slot: UInt32) {
        services.publish(word(for: 0, in: slot), at: Int(slot))
    }

    /// Frontends that the kernel holds.
    var keys: [FrontendKey] { Array(slots.keys) }

    /// What a slot's word refers to; nil when it points outside of the maps.
    func published(in slot: UInt32) -> PublishedList? {
        let index = Int(UInt32(truncatingIfNeeded: services.word(at: Int(slot))))
        guard index > 0 else { return .empty }
        guard index < lists.count else { return nil }
        let header = weft_list(lists.load(index..<index + 1)[0])
        let end = index + 1 + Int(header.slices)
        guard header.slices <= UInt32(WEFT_CLUSTERS_PER_SERVICE_MAX), end <= lists.count
        else { return nil }
        let slices = lists.load(index + 1..<end)
        guard slices.allSatisfy({ Int($0.first) + Int($0.count) <= backends.count })
        else { return nil }
        return PublishedList(
            range: index..<end, affinitySeconds: header.affinity_seconds, slices: slices)
    }

    func elements(of slice: weft_slice) -> [weft_backend] { backends.load(slice.range) }

    /// Index of the list and generation that a slot's word holds.
    func word(in slot: UInt32) -> (list: UInt32, generation: UInt32) {
        let word = services.word(at: Int(slot))
        return (UInt32(truncatingIfNeeded: word), UInt32(truncatingIfNeeded: word >> 32))
    }

    /// The word that publishes `list` in a slot. Generations go on when a slot changes hands, for
    /// clients' affinity is kept by slot and generation.
    private func word(for list: Int, in slot: UInt32) -> UInt64 {
        UInt64(word(in: slot).generation &+ 1) << 32 | UInt64(list)
    }
}

extension ServiceTable {
    /// Makes the kernel hold a frontend. What is there already costs no write; a change of backends
    /// costs their stores and one to publish; the hash is written for new frontends only.
    ///
    /// - Parameter reclaim: frees retired memory; called only when memory ran out.
    /// - Throws: `.mapFull`: the previous backends stay in force.
    mutating func apply(
        _ frontend: EncodedFrontend, reclaim: (inout ServiceTable) -> Void
    ) throws(DatapathError) {
        let slot = slots[frontend.key]
        let current = slot.flatMap(published(in:)) ?? .empty
        let reused = match(frontend, current)
        if slot != nil, frontend.isUnchanged(from: current, reused) { return }

        var taken = RetiredMemory()
        do {
            let list = try allocate(frontend, reused, into: &taken, reclaim: reclaim)
            if let slot {
                services.publish(word(for: list, in: slot), at: Int(slot))
                retire(current, except: reused)
            } else {
                try insert(frontend.key, list: list, reclaim: reclaim)
            }
        } catch {
            release(taken)
            throw error
        }
    }

    /// Takes a frontend away; what is gone already is success.
    mutating func remove(_ key: FrontendKey) throws(DatapathError) {
        guard let slot = slots[key] else { return }
        try frontends.delete(weft_frontend_key(key))
        slots[key] = nil
        let current = published(in: slot) ?? .empty
        if !current.isEmpty { empty(slot) }
        retire(current, except: [])
        retired.slots.append(Int(slot)..<Int(slot) + 1)
    }

    /// For each slice of `frontend`, the slice of `current` that has its very backends.
    private func match(_ frontend: EncodedFrontend, _ current: PublishedList) -> [weft_slice?] {
        var rest = current.slices
        return frontend.slices.map { wanted in
            let index = rest.firstIndex {
                $0.cluster == wanted.header.cluster && $0.count == UInt32(wanted.backends.count)
                    && isSame(elements(of: $0), wanted.backends)
            }
            return index.map { rest.remove(at: $0) }
        }
    }

    /// Writes the backends and the list of a frontend into free memory.
    ///
    /// - Returns: index of the list; 0 without backends.
    private mutating func allocate(
        _ frontend: EncodedFrontend, _ reused: [weft_slice?], into taken: inout RetiredMemory,
        reclaim: (inout ServiceTable) -> Void
    ) throws(DatapathError) -> Int {
        guard !frontend.slices.isEmpty else { return 0 }
        var elements: [weft_slice] = []
        for (wanted, kept) in zip(frontend.slices, reused) {
            var slice = wanted.header
            slice.count = UInt32(wanted.backends.count)
            if let kept {
                slice.first = kept.first
            } else {
                let range = try take(
                    wanted.backends.count, \.freeBackends, of: backends.name, for: frontend.key,
                    reclaim)
                taken.backends.append(range)
                backends.store(wanted.backends, at: range.lowerBound)
                slice.first = UInt32(range.lowerBound)
            }
            elements.append(slice)
        }
        let header = weft_list(
            slices: UInt32(elements.count), affinity_seconds: frontend.affinitySeconds, pad0: 0,
            pad1: 0)
        let range = try take(
            elements.count + 1, \.freeLists, of: lists.name, for: frontend.key, reclaim)
        taken.lists.append(range)
        lists.store([weft_slice(header)] + elements, at: range.lowerBound)
        return range.lowerBound
    }

    /// Publishes a list in a new slot, then makes the frontend lead to it.
    private mutating func insert(
        _ key: FrontendKey, list: Int, reclaim: (inout ServiceTable) -> Void
    ) throws(DatapathError) {
        let range = try take(1, \.freeSlots, of: services.name, for: key, reclaim)
        let slot = UInt32(range.lowerBound)
        services.publish(word(for: list, in: slot), at: range.lowerBound)
        do {
            try frontends.update(weft_frontend_key(key), slot, for: "publishing \(key)")
        } catch {
            empty(slot)
            freeSlots.release(range)
            throw error
        }
        slots[key] = slot
    }

    private mutating func take(
        _ count: Int, _ allocator: WritableKeyPath<ServiceTable, RangeAllocator>,
        of map: String, for key: FrontendKey, _ reclaim: (inout ServiceTable) -> Void
    ) throws(DatapathError) -> Range<Int> {
        if let range = self[keyPath: allocator].allocate(count) { return range }
        reclaim(&self)
        if let range = self[keyPath: allocator].allocate(count) { return range }
        throw .mapFull(map: map, action: "publishing \(key)")
    }

    private mutating func retire(_ list: PublishedList, except reused: [weft_slice?]) {
        guard !list.isEmpty else { return }
        let kept = Set(reused.compactMap { $0?.first })
        retired.lists.append(list.range)
        retired.backends += list.slices.filter { !kept.contains($0.first) }.map(\.range)
    }

    /// What may be reused once every program that runs now has ended. Hand it to
    /// ``release(_:)`` then.
    mutating func takeRetired() -> RetiredMemory {
        defer { retired = RetiredMemory() }
        return retired
    }

    /// Puts back what could not be waited for.
    mutating func keepRetired(_ memory: RetiredMemory) { retired.append(memory) }

    mutating func release(_ memory: RetiredMemory) {
        for range in memory.slots { freeSlots.release(range) }
        for range in memory.lists { freeLists.release(range) }
        for range in memory.backends { freeBackends.release(range) }
    }
}
