// SPDX-License-Identifier: Apache-2.0

/// What somebody who wrote `name` may have meant.
///
/// - Parameter names: at most some thousands: each is compared.
public func nearest(_ name: String, among names: some Sequence<String>) -> String? {
    names.map { (editDistance($0.lowercased(), name.lowercased()), $0) }
        .filter { $0.0 <= max(1, name.count / 3) }.min { $0 < $1 }?.1
}

/// How many letters have to be put in, taken out, replaced or swapped with the next to make one of the
/// other. Cost: the product of their lengths; what is long is far from everything.
public func editDistance(_ one: String, _ other: String) -> Int {
    let (left, right) = (Array(one.unicodeScalars), Array(other.unicodeScalars))
    guard max(left.count, right.count) <= 64 else { return .max }
    var before: [Int] = []
    var row = Array(0...right.count)
    for i in left.indices {
        var next = [i + 1]
        for j in right.indices {
            var best = min(row[j] + (left[i] == right[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1)
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                best = min(best, before[j - 1] + 1)
            }
            next.append(best)
        }
        (before, row) = (row, next)
    }
    return row[right.count]
}
