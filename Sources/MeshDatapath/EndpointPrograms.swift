// SPDX-License-Identifier: Apache-2.0

internal import BPF

/// The programs at the host side of every endpoint's veth pair.
struct EndpointPrograms: ~Copyable, Sendable {
    let from: Program
    private let to: Program

    static func of(_ object: borrowing LoadedObject) throws(BPFError) -> EndpointPrograms {
        let from = try object.program(named: ProgramName.fromEndpoint)
        let to = try object.program(named: ProgramName.toEndpoint)
        return EndpointPrograms(from, to)
    }

    private init(_ from: consuming Program, _ to: consuming Program) {
        self.from = from
        self.to = to
    }

    /// Attaches both, or replaces what an earlier process attached, each in one step. What that
    /// process didn't have yet is attached.
    func attach(to interface: UInt32, _ pins: PinLayout) throws(BPFError) {
        _ = try from.attach(
            toInterface: interface, .ingress, pinnedAt: pins.endpointLink(interface))
        _ = try to.attach(
            toInterface: interface, .egress, pinnedAt: pins.endpointEgressLink(interface))
    }

    static func isAttached(to interface: UInt32, _ pins: PinLayout) throws(BPFError) -> Bool {
        let isFromAttached = try Link.isAttached(
            interface: interface, .ingress, pinnedAt: pins.endpointLink(interface))
        let isToAttached = try Link.isAttached(
            interface: interface, .egress, pinnedAt: pins.endpointEgressLink(interface))
        return isFromAttached && isToAttached
    }

    /// Takes both away; what is gone already, interface included, is success.
    static func detach(from interface: UInt32, _ pins: PinLayout) throws(BPFError) {
        try Link.detach(
            interface: interface, .egress, pinnedAt: pins.endpointEgressLink(interface))
        try Link.detach(
            interface: interface, .ingress, pinnedAt: pins.endpointLink(interface))
    }
}
