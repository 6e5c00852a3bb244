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
        let widths = columns.indices.map { column in
            lines.map { Self.width($0[column]) }.max() ?? 0
        }
        let space = UInt8(ascii: " ")
        var text: [UInt8] = []
        for line in lines {
            let start = text.count
            for column in columns.indices {
                if column > 0 { text += [space, space] }
                var cell = line[column]
                let padding = repeatElement(space, count: widths[column] - Self.width(cell))
                if isColoured, columns[column].hasStates, let tone = Tone(ofState: cell) {
                    cell = tone.paint(cell, true)
                }
                if columns[column].alignment == .right { text += padding }
                text += cell.utf8
                if columns[column].alignment == .left { text += padding }
            }
            while text.count > start, text.last == space { text.removeLast() }
            text.append(UInt8(ascii: "\n"))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Characters; those of ASCII need not be looked for one by one.
    private static func width(_ cell: String) -> Int {
        cell.utf8.allSatisfy { (0x20..<0x7f).contains($0) } ? cell.utf8.count : cell.count
    }
}
