// SPDX-License-Identifier: Apache-2.0

/// What a node's programs are told, and what they tell: the kernel's maps (``KernelDatapath``) or
/// memory that behaves like them (``MemoryDatapath``).
///
/// Operations are idempotent: what the kernel holds already costs no write, and removing what is
/// gone is success. When one throws, what the kernel held before stays in force. They may be called
/// from any thread.
public protocol Datapath: AnyObject, Sendable {
    /// The only writer of the maps.
    var core: DatapathCore { get }

    /// Puts the programs on the host side of an endpoint's veth pair, or replaces those of an
    /// earlier agent there without missing a packet. Call it on a thread in the node's network
    /// namespace, as ``detach(endpointInterface:)``.
    func attach(endpointInterface interface: UInt32) throws(DatapathError)

    /// Takes the programs off again; an interface that is gone is success.
    func detach(endpointInterface interface: UInt32) throws(DatapathError)

    /// Whether the programs are where ``attach(endpointInterface:)`` put them.
    func isAttached(endpointInterface interface: UInt32) throws(DatapathError) -> Bool

    /// Packets and bytes by drop reason and counter, summed over CPUs.
    func counters() throws(DatapathError) -> [CounterReading]

    /// Tracked connections in the kernel's order, `limit` at most of those that are wanted.
    ///
    /// - Complexity: a walk over all of them, until there are enough.
    func connections(
        limit: Int, where isWanted: (ConnectionReading) -> Bool
    ) throws(DatapathError) -> [ConnectionReading]

    /// What is tracked between two ends, whichever of them opened it; nil for nothing, which may also
    /// be long over.
    ///
    /// - Parameter transport: IP protocol number.
    func connection(
        _ one: FlowAddress, _ other: FlowAddress, over transport: UInt8
    ) throws(DatapathError) -> ConnectionReading?

    /// Readable when so many events wait that some may soon be lost; fewer wait for the next
    /// ``consumeEvents(_:)``, to be called some times a second. Nil when there is nothing to wait on.
    var eventDescriptor: Int32? { get }

    /// Hands over the events that wait.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func consumeEvents(_ body: (FlowEvent) -> Void) throws(DatapathError) -> Int

    /// How full each map is.
    func mapUsage() throws(DatapathError) -> [MapReading]

    /// Entries of the tables that the programs fill, by map; the others are in ``mapUsage()``.
    ///
    /// - Complexity: reads every element: some 25 ms for 130,000 connections.
    func countedEntries() throws(DatapathError) -> [String: Int]
}

extension Datapath {
    public func connections(limit: Int) throws(DatapathError) -> [ConnectionReading] {
        try connections(limit: limit) { _ in true }
    }

    /// Without programs nothing is filled by them.
    public func countedEntries() throws(DatapathError) -> [String: Int] { [:] }
}
