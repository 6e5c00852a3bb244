// SPDX-License-Identifier: Apache-2.0

/// The figures of all faults of one kind.
struct HealthReport {
    let kind: HealthKind
    let outcomes: [HealthOutcome]

    func report() {
        let name = "health.\(kind.rawValue)"
        for place in HealthFault.Place.allCases {
            let detection = Sample(outcomes.flatMap { $0.detection[place] ?? [] })
            let suspicion = Sample(outcomes.flatMap { $0.suspicion[place] ?? [] })
            guard !suspicion.values.isEmpty else { continue }
            let goal = limit(place).map { "value<=\($0)" }
            spread("\(name).\(place.rawValue).suspicion", suspicion)
            spread("\(name).\(place.rawValue).detection", detection, goal: goal)
        }
        let before = Sample(outcomes.map(\.gapBefore))
        spread("\(name).gap", Sample(outcomes.map(\.gap)), before: before)
        spread("\(name).lost", Sample(outcomes.map { Double($0.lost) }), unit: "requests")
        spread("\(name).stall", Sample(outcomes.map(\.stall)))
        let sum = { (count: (HealthOutcome) -> Int) in Double(outcomes.reduce(0) { $0 + count($1) })
        }
        Figure("\(name).missed", sum { $0.missed }, "observers", goal: "value<=0").report()
        Figure("\(name).wrong", sum { $0.wrong }, "verdicts", goal: "value<=0").report()
        Figure("\(name).suspected", sum { $0.suspected }, "verdicts").report()
        Figure(
            "\(name).unrecovered", sum { $0.hasRecovered ? 0 : 1 }, "faults", goal: "value<=0"
        ).report()
        Figure("\(name).rounds", Double(outcomes.count), "faults").report()
    }

    static func summary(of outcome: HealthOutcome) -> String {
        func text(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }
        let places = HealthFault.Place.allCases.compactMap { place in
            outcome.detection[place]?.max().map { "\(place.rawValue) \(text($0)), " }
        }
        return places.joined()
            + "gap \(text(outcome.gap)), stall \(text(outcome.stall)), \(outcome.lost) lost, "
            + "\(outcome.missed) missed, \(outcome.wrong) wrong, \(outcome.suspected) suspected"
    }

    private func spread(
        _ name: String, _ sample: Sample, unit: String = "s", before: Sample? = nil,
        goal: String? = nil
    ) {
        Figure("\(name).p50", sample.median, unit, baseline: before?.median, goal: goal).report()
        Figure("\(name).max", sample.largest, unit, baseline: before?.largest, goal: goal).report()
    }

    /// Seconds until an observer has to hold what was hit for unreachable.
    private func limit(_ place: HealthFault.Place) -> Double? {
        switch (kind, place) {
        case (.node, .local), (.relay, .local): 2.3
        case (.node, .remote), (.relay, .remote): 2.6
        case (.cluster, .remote), (.link, .deaf): 0.9
        default: nil
        }
    }
}
