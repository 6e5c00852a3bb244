// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

extension FlowStory {
    /// The answer first, then how it came.
    func text(isColoured: Bool = Console.isColoured) -> String {
        let tone: Tone =
            switch outcome {
            case .works: .good
            case .partly: .warning
            case .stops: .bad
            }
        var lines = [
            tone.paint(conclusion.prefix(1).uppercased() + conclusion.dropFirst() + ".", isColoured)
        ]
        if let advice { lines.append("What to do: \(advice).") }
        lines.append("")
        lines.append("\(traffic) from \(source.text) to \(destination.text), seen from \(seenFrom)")
        let width = Stage.allCases.map(\.rawValue.count).max() ?? 0
        for step in steps {
            let name = step.stage.rawValue
            let padding = String(repeating: " ", count: width - name.count)
            lines.append(
                "  \(step.mark.text(isColoured)) \(name)\(padding)  \(step.sentence)\(speakers(of: step))"
            )
            lines += step.details.map { String(repeating: " ", count: width + 9) + $0 }
        }
        var text = lines.joined(separator: "\n") + "\n"
        if destination.kind == .service, !candidates.isEmpty { text += "\n" + table }
        if !evidence.isEmpty {
            text +=
                "\nRefused lately\n" + evidence.map { "  \(FlowsCommand.line($0))\n" }.joined()
        }
        text += asked
        // One a backend, of a service with many.
        text += notes.prefix(Self.notesMaximum).map { "NOTE: \($0).\n" }.joined()
        let hidden = notes.count - Self.notesMaximum
        return hidden > 0 ? text + "NOTE: \(hidden) more like these are in -o json.\n" : text
    }

    private static let notesMaximum = 4

    /// Where it isn't the node that was asked, or named in the sentence.
    private func speakers(of step: Step) -> String {
        let others = step.saidBy.filter { $0 != seenFrom && !step.sentence.contains($0) }
        return others.isEmpty ? "" : " (says \(others.joined(separator: ", ")))"
    }

    /// The nodes at both ends, unless all of them are the one that was asked.
    private var asked: String {
        guard sides.contains(where: { $0.node != seenFrom }) else { return "" }
        return "\n"
            + Table(["NODE", "IS THE", "ANSWER"], rows: sides) {
                [
                    $0.node, $0.roles.map(\.rawValue).joined(separator: ", "),
                    $0.reason ?? "its own word counts",
                ]
            }.text(isColoured: false)
    }

    private var table: String {
        Table(
            ["BACKEND", "CLUSTER", "NODE", .right("TIER"), .right("WEIGHT"), "A NEW FLOW"],
            rows: candidates
        ) {
            [
                $0.socket, $0.cluster ?? "", $0.node ?? "", "\($0.tier)", "\($0.weight)", $0.fate,
            ]
        }.text
    }
}

extension FlowStory.Candidate {
    fileprivate var socket: String {
        guard let port else { return address }
        return Format.socket(address, port)
    }

    fileprivate var fate: String {
        if let passedOver { return "isn't sent here: \(passedOver)" }
        return obstacle.map { "stops: \($0)" } ?? "arrives"
    }
}

extension FlowStory.End {
    fileprivate var text: String {
        guard let cluster else { return name }
        return kind == .service ? "service \(name)" : "\(cluster):\(name)"
    }
}

extension FlowStory.Step.Mark {
    fileprivate func text(_ isColoured: Bool) -> String {
        switch self {
        case .fine: Tone.good.paint("ok  ", isColoured)
        case .note: Tone.warning.paint("note", isColoured)
        case .stop: Tone.bad.paint("STOP", isColoured)
        }
    }
}
