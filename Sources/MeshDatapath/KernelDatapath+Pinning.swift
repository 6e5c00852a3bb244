// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import Synchronization

/// Where a node's maps and attachments are pinned.
struct PinLayout: Sendable {
    let directory: String

    init(_ directory: String) { self.directory = directory }

    var maps: String { "\(directory)/maps" }
    var links: String { "\(directory)/links" }
    var overlayLink: String { "\(links)/overlay" }
    var underlayLink: String { "\(links)/underlay" }

    func socketLink(_ program: String) -> String { "\(links)/\(program)" }

    private static let endpointPrefix = "endpoint-"

    /// from-endpoint's; an interface with a link of to-endpoint has one of these, too.
    func endpointLink(_ interface: UInt32) -> String {
        "\(links)/\(Self.endpointPrefix)\(interface)"
    }

    /// to-endpoint's.
    func endpointEgressLink(_ interface: UInt32) -> String {
        "\(links)/to-\(Self.endpointPrefix)\(interface)"
    }

    /// Interfaces that an earlier process attached to, whether they still exist or not.
    func endpointInterfaces() throws(BPFError) -> [UInt32] {
        try BPFFileSystem.names(in: links).compactMap { name in
            name.hasPrefix(Self.endpointPrefix)
                ? UInt32(name.dropFirst(Self.endpointPrefix.count)) : nil
        }
    }

    /// Paths of all pins.
    func pinned() throws(BPFError) -> Set<String> {
        var paths: Set<String> = []
        for folder in [maps, links] {
            for name in try BPFFileSystem.names(in: folder) { paths.insert("\(folder)/\(name)") }
        }
        return paths
    }

    /// Ends every attachment and removes every pin.
    func remove() throws(BPFError) {
        for name in try BPFFileSystem.names(in: links) {
            try Link.detach(pinnedAt: "\(links)/\(name)")
        }
        try BPFFileSystem.removeDirectory(directory)
    }
}

extension KernelDatapath {
    /// Pins the maps, then runs `attach`. If that throws, what this call pinned is gone again.
    static func pin(
        _ object: borrowing LoadedObject, _ nodeNames: borrowing BPFMap, _ pins: PinLayout,
        then attach: () throws(BPFError) -> Void
    ) throws(BPFError) {
        let before = try pins.pinned()
        do {
            try BPFFileSystem.makeDirectory(pins.maps)
            try BPFFileSystem.makeDirectory(pins.links)
            try object.pinMaps(in: pins.maps)
            let names = "\(pins.maps)/\(MapName.nodeNames)"
            if !before.contains(names) { try nodeNames.pin(at: names) }
            try attach()
        } catch {
            // The first error is what to act on; what can't be undone is taken over by the next start.
            try? undo(pins, pinnedBefore: before)
            throw error
        }
    }

    private static func undo(
        _ pins: PinLayout, pinnedBefore before: Set<String>
    ) throws(BPFError) {
        guard !before.isEmpty else { return try pins.remove() }
        for name in try BPFFileSystem.names(in: pins.links) {
            let path = "\(pins.links)/\(name)"
            if !before.contains(path) { try Link.detach(pinnedAt: path) }
        }
        for name in try BPFFileSystem.names(in: pins.maps) {
            let path = "\(pins.maps)/\(name)"
            if !before.contains(path) { try BPFFileSystem.unpin(path) }
        }
    }

    /// Puts the programs where packets and sockets meet them. What an earlier process attached is
    /// replaced in one step; interfaces that are gone are forgotten.
    static func attach(
        _ object: borrowing LoadedObject, _ configuration: DatapathConfiguration, _ pins: PinLayout
    ) throws(BPFError) {
        // First what a wrong configuration makes fail, so that nothing is replaced by half.
        let cgroup = try Cgroup(path: configuration.cgroupPath)
        _ = try object.program(named: ProgramName.fromOverlay).attach(
            toInterface: configuration.overlayInterface, .ingress, pinnedAt: pins.overlayLink)
        if let responder = configuration.responder {
            _ = try object.program(named: ProgramName.fromUnderlay).attach(
                toInterface: responder.interface, .ingress, pinnedAt: pins.underlayLink)
        } else {
            try Link.detach(pinnedAt: pins.underlayLink)
        }
        for name in ProgramName.socket {
            _ = try object.program(named: name).attach(
                to: cgroup, pinnedAt: pins.socketLink(name))
        }
        let programs = try EndpointPrograms.of(object)
        for interface in try pins.endpointInterfaces() {
            if try Link.isAttached(pinnedAt: pins.endpointLink(interface)) {
                try programs.attach(to: interface, pins)
            } else {
                try Link.detach(pinnedAt: pins.endpointEgressLink(interface))
                try Link.detach(pinnedAt: pins.endpointLink(interface))
            }
        }
    }

    public func attach(endpointInterface interface: UInt32) throws(DatapathError) {
        do {
            try endpointPrograms.attach(to: interface, pins)
        } catch {
            throw .kernel(error)
        }
    }

    public func detach(endpointInterface interface: UInt32) throws(DatapathError) {
        do {
            try EndpointPrograms.detach(from: interface, pins)
        } catch {
            throw .kernel(error)
        }
    }

    public func isAttached(endpointInterface interface: UInt32) throws(DatapathError) -> Bool {
        do {
            return try EndpointPrograms.isAttached(to: interface, pins)
        } catch {
            throw .kernel(error)
        }
    }

    /// Takes every program off and forgets every map: the node is as it was before. For
    /// uninstalling and tests; stopping an agent leaves all in place.
    public func tearDown() throws(DatapathError) {
        try Self.tearDown(pinDirectory: pins.directory)
    }

    /// The same for what an agent that no longer runs has left behind; nothing there is success.
    public static func tearDown(pinDirectory: String) throws(DatapathError) {
        do { try PinLayout(pinDirectory).remove() } catch { throw .kernel(error) }
    }
}
