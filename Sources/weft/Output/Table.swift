// SPDX-License-Identifier: Apache-2.0

/// Aligned columns under upper-case headers, two spaces apart, nothing after the last character.
struct Table {
    enum Alignment {
        case left, right
    }

    struct Column: ExpressibleByStringLiteral {
        let header: String
        let alignment: Alignment
        /// Whether its cells begin with a state's name, which has a colour.
        let hasStates: Bool

        init(stringLiteral header: String) { self.init(header) }

        private init(_ header: String, _ alignment: Alignment = .left, hasStates: Bool = false) {
            self.header = header
            self.alignment = alignment
            self.hasStates = hasStates
        }

        /// A column of numbers.
        static func right(_ header: String) -> Column { Column(header, .right) }
        static func state(_ header: String) -> Column { Column(header, hasStates: true) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    init<Rows: Sequence>(
        _ columns: [Column], rows: Rows, _ cells: (Rows.Element) -> [String]
    ) {
        self.init(columns)
        for row in rows { add(cells(row)) }
    }

    /// - Parameter cells: one a column; an empty one is shown as `-`.
    mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has as many cells as there are columns")
        rows.append(cells.map { $0.isEmpty ? "-" : $0 })
    }

    var text: String { text(isColoured: Console.isColoured) }

    /// Ends with a newline.
    func text(isColoured: Bool) -> String {
        let lines = [columns.map(\.header)] + rows
        let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let cells = columns.indices.map { column in
                var cell = line[column]
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if isColoured, columns[column].hasStates, let tone = Tone(ofState: cell) {
                    cell = tone.paint(cell, true)
                }
                return columns[column].alignment == .left ? cell + padding : padding + cell
            }
            let padded = cells.joined(separator: "  ")
            return padded[
                ..<(padded.lastIndex { $0 != " " }.map(padded.index(after:)) ?? padded.startIndex)]
                + "\n"
        }.joined()
    }
}
