// SPDX-License-Identifier: Apache-2.0

import Foundation
import MeshModel

@testable import MeshTrust

/// One cluster whose root is rotated, and peers who shake hands with its nodes all the time. Keys are
/// names here: what counts is who holds which bundle when.
struct RotationWorld {
    struct Leaf: Hashable {
        var root: String
        var notBefore: Date
        var notAfter: Date
    }

    struct Peer {
        let cluster: ClusterName
        /// Its clock minus the true one.
        let skewSeconds: Double
        /// How long a bundle takes to it.
        let delaySeconds: Double
        /// Nothing reaches it between these, and nothing it says gets out.
        var partition: ClosedRange<Double>?
        var sequence: UInt64 = 1
        var roots: [String] = ["root-1"]
    }

    /// What the authority has on its disk, besides the rotation.
    struct Disk: Equatable {
        var keys: Set<String> = ["root-1"]
        var issuer = "root-1"
        var bundle: (sequence: UInt64, roots: [String], at: Double) = (1, ["root-1"], 0)

        static func == (left: Disk, right: Disk) -> Bool {
            left.keys == right.keys && left.issuer == right.issuer
                && left.bundle.sequence == right.bundle.sequence
                && left.bundle.roots == right.bundle.roots
        }
    }

    enum Crash: CaseIterable {
        /// The rotation is saved, the effect isn't performed.
        case beforeEffect
        /// The effect is performed, the rotation doesn't know it.
        case afterEffect
    }

    static let leafLifeSeconds = 1_200.0
    static let stepSeconds = 5.0
    static let nodes = 4

    var seconds = 0.0
    var peers: [Peer]
    var disk = Disk()
    /// What was saved last.
    var saved: Data
    var rotation: Rotation
    var leaves: [Leaf] = []
    /// A node whose renewals fail keeps its certificate to the end.
    var stubbornNode = 0
    var effectCount = 0
    var crashes: [Int: Crash] = [:]
    var handshakes = 0
    var failures: [String] = []
    var events: [RotationEvent] = []
    var published: [UInt64: [String]] = [1: ["root-1"]]
    var abortsAt: Double?
    var forcesAt: Double?
    var broken: [ClusterName] = []

    var now: Date { noon + seconds }

    init(seed: UInt64, peers count: Int = 5, parameters: RotationParameters? = nil) throws {
        var dice = SplitMix64(seed: seed)
        peers = (0..<count).map { index in
            Peer(
                cluster: ClusterName(rawValue: "peer-\(index)")!,
                skewSeconds: [-30, 30, 0][index % 3],
                delaySeconds: index == 0 ? 0 : Double.random(in: 0...60, using: &dice))
        }
        if count > 1 {
            peers[1].partition = 0...Double.random(in: 300...600, using: &dice)
        }
        rotation = Rotation(
            .root, generation: 2, replacing: AuthorityKey(keyIdentifier: "root-1", notAfter: noon),
            sequence: 1, peers: [],
            parameters: parameters
                ?? RotationParameters(leafLifeSeconds: Self.leafLifeSeconds, clockSkewSeconds: 60),
            now: noon)
        saved = try JSONEncoder().encode(rotation)
        leaves = (0..<Self.nodes).map { _ in
            Leaf(
                root: "root-1", notBefore: noon - 60, notAfter: noon + Self.leafLifeSeconds)
        }
        try hear()
    }

    /// Runs until the rotation has ended and everybody heard of it.
    mutating func run(for duration: Double = 3 * leafLifeSeconds) throws {
        while seconds < duration {
            try hear()
            try act()
            renew()
            deliver()
            shakeHands()
            seconds += Self.stepSeconds
        }
    }

    /// What peers and the clock tell the authority.
    mutating func hear() throws {
        let roster = peers.map {
            RotationPeer(cluster: $0.cluster, isLive: !isPartitioned($0))
        }
        note(rotation.update(peers: roster, now: now))
        for peer in peers where !isPartitioned(peer) {
            note(rotation.acknowledged(peer.cluster, sequence: peer.sequence, now: now))
        }
        if let at = abortsAt, seconds >= at {
            note(try rotation.abort(now: now))
            abortsAt = nil
        }
        if let at = forcesAt, seconds >= at, !rotation.waitingFor.isEmpty {
            let (broken, events) = try rotation.force(now: now)
            self.broken = broken
            note(events)
            forcesAt = nil
        }
        note(rotation.tick(now: now))
        saved = try JSONEncoder().encode(rotation)
    }

    mutating func act() throws {
        while let effect = rotation.due {
            effectCount += 1
            let crash = crashes[effectCount]
            if crash == .beforeEffect {
                try restart()
                continue
            }
            perform(effect)
            if crash == .afterEffect {
                try restart()
                continue
            }
            switch effect {
            case .generateKey(_, let generation):
                note(
                    rotation.generated(
                        AuthorityKey(keyIdentifier: "root-\(generation)", notAfter: now), now: now))
            default: note(rotation.performed(effect, now: now))
            }
            saved = try JSONEncoder().encode(rotation)
        }
    }

    /// Killed: only what is on disk is left. Time passes until somebody starts it again.
    private mutating func restart() throws {
        rotation = try JSONDecoder().decode(Rotation.self, from: saved)
        for _ in 0..<8 {
            renew()
            deliver()
            shakeHands()
            seconds += Self.stepSeconds
        }
    }

    private mutating func perform(_ effect: RotationEffect) {
        switch effect {
        case .generateKey(_, let generation): disk.keys.insert("root-\(generation)")
        case .publish(let sequence, let roots):
            if let earlier = published[sequence], earlier != roots {
                failures.append("two bundles with sequence \(sequence)")
            }
            published[sequence] = roots
            if disk.bundle.sequence != sequence { disk.bundle = (sequence, roots, seconds) }
        case .switchIssuer(let key):
            // The last moment at which a certificate can be issued under the old root.
            if disk.issuer != key { leaves[stubbornNode] = leaf(disk.issuer) }
            if !disk.keys.contains(key) { failures.append("\(key) signs without existing") }
            disk.issuer = key
        case .reissue(let key):
            for node in leaves.indices where node != stubbornNode { leaves[node] = leaf(key) }
        case .drop(let key): disk.keys.remove(key)
        case .discardKey(_, let generation): disk.keys.remove("root-\(generation)")
        }
    }

    private func leaf(_ root: String) -> Leaf {
        Leaf(root: root, notBefore: now - 60, notAfter: now + Self.leafLifeSeconds)
    }

    /// Each node at its own time, at two thirds of the life; the stubborn one at the very end, by a
    /// clock that is late.
    private mutating func renew() {
        for node in leaves.indices {
            let lateness = node == stubbornNode ? 25 : -Self.leafLifeSeconds / 3
            if now >= leaves[node].notAfter + lateness { leaves[node] = leaf(disk.issuer) }
        }
    }

    private mutating func deliver() {
        for index in peers.indices where !isPartitioned(peers[index]) {
            let bundle = disk.bundle
            guard bundle.sequence > peers[index].sequence,
                seconds >= bundle.at + peers[index].delaySeconds
            else { continue }
            // Accepted only below a root that is held: the statement is signed by the issuer of now.
            guard peers[index].roots.contains(signer(of: bundle.sequence)) else { continue }
            peers[index].sequence = bundle.sequence
            peers[index].roots = bundle.roots
        }
    }

    private func signer(of sequence: UInt64) -> String { sequence <= 2 ? "root-1" : disk.issuer }

    private mutating func shakeHands() {
        for peer in peers where !isPartitioned(peer) && !broken.contains(peer.cluster) {
            for leaf in leaves {
                handshakes += 1
                let clock = now + peer.skewSeconds
                if !peer.roots.contains(leaf.root) {
                    failures.append("\(peer.cluster) lacks \(leaf.root) at \(seconds)")
                }
                // A node that presents an expired certificate, by its own late clock, fails for that.
                if clock < leaf.notBefore { failures.append("early at \(seconds)") }
            }
        }
    }

    func isPartitioned(_ peer: Peer) -> Bool { peer.partition?.contains(seconds) ?? false }

    private mutating func note(_ events: [RotationEvent]) { self.events += events }
}
