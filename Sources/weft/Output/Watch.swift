// SPDX-License-Identifier: Apache-2.0

/// What is printed of an answer that is asked for again and again.
struct Watch {
    enum Medium {
        /// A JSON document a line, one for each change.
        case json
        /// The text again for each change, for what isn't a terminal.
        case text
        /// The whole screen anew each time: ages are read, too.
        case screen(rows: Int, columns: Int)
    }

    /// Seconds between two questions.
    static let intervalSeconds = 1

    /// What changes by itself as time goes by, and is no news.
    private static let ages: Set<Substring> = [
        "ageSeconds", "fractionLeft", "heardSeconds", "idleSeconds", "lastBeatSeconds",
        "memoryBytes", "remainingSeconds", "rttMilliseconds", "secondsAgo", "secondsLeft",
        "sinceSeconds", "uptimeSeconds",
    ]

    /// The last answer without its ages; nil: there was none.
    private var last: String?

    /// Whether there was an answer yet.
    var hasBegun: Bool { last != nil }

    /// - Parameters:
    ///   - json: of one line.
    ///   - heading: over the screen.
    /// - Returns: what to print; nil: nothing has changed.
    mutating func show(
        json: String, text: String, heading: String, on medium: Medium
    ) -> String? {
        let news = Self.withoutAges(json)
        defer { last = news }
        let isFirst = last == nil
        if case .screen(let rows, let columns) = medium {
            return Self.frame(
                heading + "\n\n" + text, rows: rows, columns: columns, isFirst: isFirst)
        }
        guard news != last else { return nil }
        if case .json = medium { return json + "\n" }
        return (isFirst ? "" : "\n") + text
    }

    /// What is shown while nobody answers.
    func trouble(_ complaint: Complaint, on medium: Medium) -> String? {
        guard case .screen = medium else { return nil }
        return "\u{1B}[1;1H\u{1B}[K" + Tone.bad.paint(complaint.sentence, Console.isColoured)
            + "\u{1B}[2;1H"
    }

    /// A document's text without the numbers that are ages. A quote that ends a key can't stand in a
    /// string: there it has a backslash.
    static func withoutAges(_ json: String) -> String {
        var rest = json[...]
        var result = ""
        while let end = rest.firstRange(of: "\":") {
            let key = rest[..<end.lowerBound].split(separator: "\"").last ?? ""
            result += rest[..<end.upperBound]
            rest = rest[end.upperBound...]
            guard ages.contains(key) else { continue }
            rest = rest.drop { $0.isNumber || "+-.eE".contains($0) }
        }
        return result + rest
    }

    /// Everything redrawn in place, cut to the terminal's size.
    static func frame(_ text: String, rows: Int, columns: Int, isFirst: Bool) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
            clip($0, to: columns)
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        // The cursor stands in the last row.
        let room = max(rows - 1, 1)
        if lines.count > room {
            let hidden = lines.count - room + 1
            lines = lines.prefix(room - 1) + ["… \(hidden) more lines"]
        }
        return (isFirst ? "\u{1B}[2J" : "") + "\u{1B}[H"
            + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }

    /// The first `columns` characters that are seen; colours don't count.
    static func clip(_ line: Substring, to columns: Int) -> String {
        var result = ""
        var seen = 0
        var isColour = false
        var isColoured = false
        for character in line {
            if character == "\u{1B}" {
                isColour = true
                isColoured = true
            }
            if !isColour {
                guard seen < columns else { break }
                seen += 1
            }
            result.append(character)
            if isColour, character == "m" { isColour = false }
        }
        return isColoured ? result + "\u{1B}[0m" : result
    }
}
