// SPDX-License-Identifier: Apache-2.0

/// Which names are meant: exact ones, and prefixes, written with a `*` at the end.
///
/// Of the patterns that match a name the most specific one decides: an exact name before any prefix,
/// a longer prefix before a shorter one. `*` matches everything and yields to all others.
struct NamePatterns: Hashable, Sendable {
    static let maximumPatterns = 256
    /// The longest label key: a DNS subdomain, a slash and a name.
    static let maximumLength = 253 + 1 + 63

    /// The patterns can't be used; whoever reads them from a file says which field it was.
    enum Fault: Error, Hashable, CustomStringConvertible {
        case tooMany(Int)
        case malformed(String)
        case repeated(String)

        var description: String {
            switch self {
            case .tooMany(let count):
                "has \(count) patterns; only \(NamePatterns.maximumPatterns) are possible"
            case .malformed(let text):
                "'\(text)' must be a name, or the beginning of one with a * behind it, of 1 to "
                    + "\(NamePatterns.maximumLength) printable ASCII characters"
            case .repeated(let text): "'\(text)' stands there twice; remove one"
            }
        }
    }

    private struct Prefix: Hashable {
        let text: String
        let isIncluded: Bool
    }

    private let exact: [String: Bool]
    /// Longest first.
    private let prefixes: [Prefix]

    init(include: [String] = [], exclude: [String] = []) throws(Fault) {
        let patterns = include.map { ($0, true) } + exclude.map { ($0, false) }
        guard patterns.count <= Self.maximumPatterns else { throw .tooMany(patterns.count) }
        var seen: Set<String> = []
        var exact: [String: Bool] = [:]
        var prefixes: [Prefix] = []
        for (pattern, isIncluded) in patterns {
            guard Self.isWellFormed(pattern) else { throw .malformed(pattern) }
            guard seen.insert(pattern).inserted else { throw .repeated(pattern) }
            if pattern.hasSuffix("*") {
                prefixes.append(Prefix(text: String(pattern.dropLast()), isIncluded: isIncluded))
            } else {
                exact[pattern] = isIncluded
            }
        }
        self.exact = exact
        self.prefixes = prefixes.sorted { $0.text.utf8.count > $1.text.utf8.count }
    }

    /// What the most specific pattern says of `name`; nil if none matches.
    func includes(_ name: String) -> Bool? {
        exact[name]
            ?? prefixes.first { name.utf8.starts(with: $0.text.utf8) }?.isIncluded
    }

    private static func isWellFormed(_ pattern: String) -> Bool {
        (1...maximumLength).contains(pattern.utf8.count)
            && pattern.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            && !pattern.dropLast().contains("*")
    }
}

extension NamePatterns: CustomStringConvertible {
    /// As a charter writes them, the most specific first.
    var description: String {
        let patterns =
            exact.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            + prefixes.map { ($0.text + "*", $0.isIncluded) }
        return abbreviated(patterns.map { $1 ? $0 : "!" + $0 })
    }
}

/// The first four of a list, and how many more there are: what fits in a sentence.
func abbreviated(_ items: [String]) -> String {
    guard !items.isEmpty else { return "none" }
    let more = items.count - 4
    return items.prefix(4).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
}
