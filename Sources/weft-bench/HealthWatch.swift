// SPDX-License-Identifier: Apache-2.0

import MeshLab
import MeshModel

/// Looks at the kernels of all nodes of a lab every other millisecond, and remembers what changed.
actor HealthWatch {
    static let interval = Duration.milliseconds(2)
    private static let lateNanoseconds: UInt64 = 4_000_000

    /// A word that says something else than at the look before.
    struct Change {
        /// When it was seen, nanoseconds.
        let time: UInt64
        let observer: Observer
        let subject: Subject
        let word: LivenessWord
    }

    struct Observer: Hashable {
        let node: String
        let cluster: String
    }

    private(set) var changes: [Change] = []
    /// Looks that came late: when, and how long after the one before; nanoseconds.
    private var pauses: [(time: UInt64, length: UInt64)] = []
    private var lastLook: UInt64?
    private let views: [HealthView]

    init(lab: Lab) async throws {
        var views: [HealthView] = []
        for cluster in lab.plan.clusters {
            for node in cluster.nodes {
                views.append(try await HealthView.open(node, in: cluster, lab: lab))
            }
        }
        self.views = views
    }

    /// Looks until the task is cancelled.
    func run() async {
        lastLook = nil
        while !Task.isCancelled {
            look()
            // Throws when the task is cancelled, which the next turn sees.
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Words that take no new flow now, as sentences.
    func lacks() -> [String] {
        views.flatMap { view in
            view.subjects.indices.compactMap { number in
                let subject = view.subjects[number]
                let word = view.word(number)
                guard !word.isUsable else { return nil }
                return "\(view.observer.node) holds \(subject) for "
                    + "\(word.verdict.map { "\($0)" } ?? "?"), weight \(word.weight)"
            }
        }
    }

    /// Who holds an opinion of whom.
    func pairs() -> [(observer: Observer, subject: Subject)] {
        views.flatMap { view in view.subjects.map { (view.observer, $0) } }
    }

    func changes(since time: UInt64) -> [Change] { changes.filter { $0.time >= time } }

    /// Longest time in which nobody looked, seconds: what times may be wrong by, and a sign of
    /// how long agents had to wait for a processor, too.
    func stall(since time: UInt64) -> Double {
        Double(pauses.filter { $0.time >= time }.map(\.length).max() ?? 0) / 1e9
    }

    private func look() {
        let now = monotonicNow()
        if let lastLook, now - lastLook > Self.lateNanoseconds {
            pauses.append((time: now, length: now - lastLook))
        }
        lastLook = now
        for view in views {
            for (number, word) in view.news() {
                changes.append(
                    Change(
                        time: now, observer: view.observer, subject: view.subjects[number],
                        word: word))
            }
        }
    }
}
