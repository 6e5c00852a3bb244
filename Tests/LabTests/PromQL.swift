// SPDX-License-Identifier: Apache-2.0

/// What a PromQL expression names, as far as its words tell: enough for rules and dashboards, not a
/// parser.
struct PromQL {
    private(set) var metrics: Set<String> = []
    /// By metric: the labels that its matchers name.
    private(set) var matched: [String: Set<String>] = [:]
    /// Of `by`, `on` and their like.
    private(set) var grouped: Set<String> = []

    private static let grouping: Set = [
        "by", "without", "on", "ignoring", "group_left", "group_right",
    ]
    /// Operators; aggregations, too, for which `by` may come before what they're of.
    private static let words: Set = [
        "and", "or", "unless", "bool", "offset", "inf", "nan", "sum", "min", "max", "avg", "count",
    ]

    init(_ text: String) {
        var rest = Substring(text)
        var last = ""
        while let first = rest.first {
            switch first {
            case "{":
                for label in Self.labels(Self.take(&rest, through: "}")) {
                    matched[last, default: []].insert(label)
                }
            case "[": _ = Self.take(&rest, through: "]")
            case _ where first.isLetter || first == "_" || first == ":":
                let word = String(rest.prefix { $0.isLetter || $0.isNumber || "_:".contains($0) })
                rest.removeFirst(word.count)
                let next = rest.first { !$0.isWhitespace }
                if Self.grouping.contains(word) {
                    rest = rest.drop { $0.isWhitespace }
                    if rest.first == "(" {
                        grouped.formUnion(Self.list(Self.take(&rest, through: ")")))
                    }
                } else if next != "(", !Self.words.contains(word.lowercased()) {
                    metrics.insert(word)
                    last = word
                }
            case _ where first.isNumber:
                // With its unit, as in 5m.
                rest = rest.drop { $0.isNumber || $0.isLetter || $0 == "." }
            default: rest.removeFirst()
            }
        }
    }

    /// What stands in brackets; those in quotes don't end it.
    private static func take(_ text: inout Substring, through end: Character) -> Substring {
        var isQuoted = false
        let body = text.dropFirst().prefix { character in
            if character == "\"" { isQuoted.toggle() }
            return isQuoted || character != end
        }
        text = text[body.endIndex...].dropFirst()
        return body
    }

    private static func labels(_ body: Substring) -> [String] {
        var isQuoted = false
        let bare = body.filter { character in
            if character == "\"" { isQuoted.toggle() }
            return !isQuoted
        }
        return bare.split(separator: ",").map { matcher in
            String(matcher.drop { $0.isWhitespace }.prefix { $0.isLetter || $0 == "_" })
        }
    }

    private static func list(_ body: Substring) -> [String] {
        body.split { !$0.isLetter && $0 != "_" }.map(String.init)
    }
}
