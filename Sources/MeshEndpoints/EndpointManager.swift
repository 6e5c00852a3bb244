// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import Netlink
import Synchronization

/// Wires the workloads of one node: the only writer of their links, addresses and routes.
///
/// Calls block for some milliseconds, for the kernel and the disk; they may come from any thread.
/// The node's ends are made in the network namespace in which the manager was made.
public final class EndpointManager: Sendable {
    public struct Configuration: Hashable, Sendable {
        /// The outer headers of VXLAN over IPv4 and over IPv6, bytes.
        public static let overheadIPv4: UInt32 = 50
        public static let overheadIPv6: UInt32 = 70

        public var podPrefixes: [Prefix]
        /// Bytes.
        public var underlayMTU: UInt32
        public var underlayIsIPv6: Bool
        /// In a folder that exists and outlives a restart of the agent.
        public var stateFile: String

        public init(
            podPrefixes: [Prefix], underlayMTU: UInt32 = 1500, underlayIsIPv6: Bool = false,
            stateFile: String
        ) {
            self.podPrefixes = podPrefixes
            self.underlayMTU = underlayMTU
            self.underlayIsIPv6 = underlayIsIPv6
            self.stateFile = stateFile
        }

        public var endpointMTU: UInt32 {
            underlayMTU - (underlayIsIPv6 ? Self.overheadIPv6 : Self.overheadIPv4)
        }
    }

    /// Attaches the programs of the node's end and writes the endpoint's row. Its failure undoes
    /// the attach.
    public typealias Prepare = (LocalEndpoint) throws -> Void

    struct State {
        var records: [ObjectName: EndpointRecord] = [:]
        /// Kept open: a verdict must reach the sockets of a namespace whose name is gone.
        var namespaces: [ObjectName: NetworkNamespace] = [:]
        /// Being attached or detached by some call.
        var changing: Set<ObjectName> = []
    }

    public let configuration: Configuration
    let file: StateFile
    let host: NetworkNamespace
    let state: Mutex<State>

    /// Reads the state file; ``restore(prepare:)`` then tells what of it still exists.
    ///
    /// - Throws: `.state` if the file isn't readable, `.kernel` without a network namespace.
    public init(_ configuration: Configuration) throws(EndpointError) {
        self.configuration = configuration
        file = StateFile(path: configuration.stateFile)
        do throws(NetlinkError) {
            host = try NetworkNamespace.current()
        } catch {
            throw EndpointError(.kernel, nil, "\(error)")
        }
        let records = try file.read()
        state = Mutex(
            State(records: Dictionary(records.map { ($0.object, $0) }) { first, _ in first }))
    }

    /// The endpoints that are attached, by name.
    public var endpoints: [LocalEndpoint] {
        state.withLock { $0.records.values.filter { $0.phase == .attached }.compactMap(\.endpoint) }
            .sorted { $0.object < $1.object }
    }

    /// Wires a workload. It is isolated (the node's end is down) until `prepare` has succeeded.
    ///
    /// Attaching again what is attached in the same way returns it, without `prepare`. The link of a
    /// chained attachment is there already, and stays as it is.
    ///
    /// - Throws: any ``EndpointError/Code``; then nothing of the attach is left, and its addresses
    ///   are free.
    public func attach(
        _ request: EndpointRequest, prepare: Prepare
    ) throws(EndpointError) -> LocalEndpoint {
        let object = request.object
        let namespace = try Self.openNamespace(request)
        try begin(object)
        defer { end(object) }
        if let present = try present(request) { return present }
        let cable =
            request.attachment?.isChained == true ? try findCable(request, namespace) : nil
        if cable != nil { try releaseLost(holding: request.addresses ?? []) }
        var record = try reserve(request, cable)
        do throws(EndpointError) {
            let endpoint =
                if cable == nil {
                    try wire(&record, namespace, prepare)
                } else {
                    try adopt(record, prepare)
                }
            record.phase = .attached
            try update { state in
                state.records[object] = record
                state.namespaces[object] = namespace
            }
            return endpoint
        } catch {
            throw undo(record, after: error)
        }
    }

    /// What would be given to a workload that asks for nothing special.
    ///
    /// - Throws: `.exhausted` if a family has no address left, or the node no prefixes.
    public func nextAddresses() throws(EndpointError) -> [Address] {
        let inUse = state.withLock { state in
            Set(state.records.values.flatMap { $0.addresses.compactMap { Address($0) } })
        }
        return try Self.allocate(nil, AddressPool(prefixes: configuration.podPrefixes), inUse)
    }

    /// Removes a workload's wiring and frees its addresses; the workload itself goes on.
    ///
    /// - Returns: what was attached; nil if nothing was, which is success.
    @discardableResult
    public func detach(_ object: ObjectName) throws(EndpointError) -> LocalEndpoint? {
        try begin(object)
        defer { end(object) }
        guard let record = state.withLock({ $0.records[object] }) else { return nil }
        try remove(record)
        return record.endpoint
    }
}

extension EndpointManager {
    /// Claims `object` for the calling thread.
    func begin(_ object: ObjectName) throws(EndpointError) {
        guard state.withLock({ $0.changing.insert(object).inserted }) else {
            throw EndpointError(.busy, object, "another request is changing it; try again")
        }
    }

    func end(_ object: ObjectName) {
        state.withLock { _ = $0.changing.remove(object) }
    }

    /// Changes the table in memory after the file has the change, so that a crash forgets nothing.
    func update(_ change: (inout State) -> Void) throws(EndpointError) {
        let result = state.withLock { state -> Result<Void, EndpointError> in
            var changed = state
            change(&changed)
            do throws(EndpointError) {
                try file.write(changed.records.values)
            } catch {
                return .failure(error)
            }
            state = changed
            return .success(())
        }
        try result.get()
    }

    /// Deletes the link if it is ours, then forgets the endpoint.
    func remove(_ record: EndpointRecord) throws(EndpointError) {
        if record.ownsLink {
            try kernel(record.object) { () throws(NetlinkError) in
                var socket = try RouteSocket(in: host)
                try socket.deleteLink(named: record.hostInterface)
            }
        }
        try update { state in
            state.records[record.object] = nil
            state.namespaces[record.object] = nil
        }
    }

    /// Runs requests to the kernel; their failures become `.kernel`.
    func kernel<Value>(
        _ object: ObjectName, _ body: () throws(NetlinkError) -> Value
    ) throws(EndpointError) -> Value {
        do throws(NetlinkError) {
            return try body()
        } catch {
            throw EndpointError(.kernel, object, "\(error)")
        }
    }

    static func openNamespace(
        _ request: EndpointRequest
    ) throws(EndpointError) -> NetworkNamespace {
        do throws(NetlinkError) {
            return try NetworkNamespace(path: request.namespacePath)
        } catch {
            throw EndpointError(.unknownNamespace, request.object, "\(error)")
        }
    }
}
