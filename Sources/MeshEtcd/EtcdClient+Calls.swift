// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Keys from ``key`` up to and without ``end``; a nil end means that one key.
struct EtcdRange: Hashable, Sendable {
    let key: [UInt8]
    let end: [UInt8]?

    init(key: String) {
        self.key = Array(key.utf8)
        end = nil
    }

    /// All keys that begin with `prefix`, which ends in an ASCII character.
    init(prefix: String) {
        key = Array(prefix.utf8)
        end = key.dropLast() + key.suffix(1).map { $0 + 1 }
    }

    init(_ key: [UInt8], to end: [UInt8]) {
        self.key = key
        self.end = end
    }
}

/// What one member says about itself.
public struct EtcdStatus: Hashable, Sendable {
    public let version: String
    /// Bytes on that member's disk.
    public let databaseBytes: Int64
    public let hasLeader: Bool
}

/// The keys of a range at one revision.
struct EtcdListing: Sendable {
    var entries: [WireKeyValue]
    let revision: Int64
}

extension EtcdClient {
    public func status() async throws(EtcdError) -> EtcdStatus {
        let reply = try await call(isRepeatable: true) { connection in
            try await WireMaintenance.Client(wrapping: connection)
                .status(WireStatusRequest(), options: options)
        }
        return EtcdStatus(
            version: reply.version, databaseBytes: reply.dbSize, hasLeader: reply.leader != 0)
    }

    func range(_ request: WireRangeRequest) async throws(EtcdError) -> WireRangeResponse {
        let reply = try await call(isRepeatable: true) { connection in
            try await WireKV.Client(wrapping: connection).range(request, options: options)
        }
        guard reply.hasHeader else { throw EtcdError(.malformed, "a response without a header") }
        return reply
    }

    func transact(_ request: WireTxnRequest) async throws(EtcdError) -> WireTxnResponse {
        let reply = try await call(isRepeatable: false) { connection in
            try await WireKV.Client(wrapping: connection).txn(request, options: options)
        }
        guard reply.hasHeader else { throw EtcdError(.malformed, "a response without a header") }
        return reply
    }

    /// Reads a range of any size, page by page, all at one revision.
    ///
    /// - Parameter revision: nil for the newest, which the first page fixes for the others.
    /// - Throws: ``EtcdError`` `.compacted`: the revision went while it was read.
    func list(
        _ range: EtcdRange, at revision: Int64? = nil
    ) async throws(EtcdError) -> EtcdListing {
        var page = EtcdLimit.pageKeys
        var request = WireRangeRequest(range)
        request.revision = revision ?? 0
        var listing: EtcdListing?
        while true {
            request.limit = page
            let reply: WireRangeResponse
            do { reply = try await self.range(request) } catch {
                guard error.code == .tooLarge, page > 1 else { throw error }
                page /= 4
                continue
            }
            if request.revision == 0 { request.revision = reply.header.revision }
            var grown = listing ?? EtcdListing(entries: [], revision: request.revision)
            grown.entries += reply.kvs
            guard reply.more, let last = reply.kvs.last else { return grown }
            listing = grown
            request.key = last.key + [0]
        }
    }
}

// MARK: Requests

extension WireRangeRequest {
    init(_ range: EtcdRange) {
        self.init()
        key = Data(range.key)
        if let end = range.end { rangeEnd = Data(end) }
    }
}

extension WireRequestOp {
    static func put(_ key: String, _ value: [UInt8]) -> WireRequestOp {
        var put = WirePutRequest()
        put.key = Data(key.utf8)
        put.value = Data(value)
        var operation = WireRequestOp()
        operation.requestPut = put
        return operation
    }

    static func delete(_ range: EtcdRange) -> WireRequestOp {
        var delete = WireDeleteRangeRequest()
        delete.key = Data(range.key)
        if let end = range.end { delete.rangeEnd = Data(end) }
        var operation = WireRequestOp()
        operation.requestDeleteRange = delete
        return operation
    }

    static func get(_ key: String) -> WireRequestOp {
        var operation = WireRequestOp()
        operation.requestRange = WireRangeRequest(EtcdRange(key: key))
        return operation
    }
}

extension WireCompare {
    /// - Parameter revision: zero if there must be no such key.
    static func written(_ key: String, at revision: Int64) -> WireCompare {
        var compare = WireCompare()
        compare.target = .mod
        compare.key = Data(key.utf8)
        compare.modRevision = revision
        return compare
    }

    /// False if there is no such key.
    static func holds(_ key: String, _ value: [UInt8]) -> WireCompare {
        var compare = WireCompare()
        compare.target = .value
        compare.key = Data(key.utf8)
        compare.value = Data(value)
        return compare
    }
}

extension WireTxnResponse {
    /// What the `index`-th operation read, if that key is there.
    func entry(_ index: Int) -> WireKeyValue? {
        guard responses.indices.contains(index) else { return nil }
        return responses[index].responseRange.kvs.first
    }
}
