// SPDX-License-Identifier: Apache-2.0

/// `2026-11-22T12:32:16Z` as an API server writes times, in Unix seconds.
///
/// Nil for anything else: other zones, fractions, days that no month has, years before 1970.
func unixSeconds(rfc3339 text: String) -> UInt64? {
    let bytes = Array(text.utf8)
    let form = Array("0000-00-00T00:00:00Z".utf8)
    guard bytes.count == form.count,
        zip(bytes, form).allSatisfy({ byte, wanted in
            wanted == UInt8(ascii: "0")
                ? (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) : byte == wanted
        })
    else { return nil }
    func number(_ range: Range<Int>) -> Int {
        bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
    let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
    let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
    guard year >= 1970, (1...12).contains(month), (1...daysOf(month, in: year)).contains(day),
        hour < 24, minute < 60, second < 60
    else { return nil }
    let seconds = (daysSince1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second
    return UInt64(seconds)
}

/// - Parameter seconds: of Unix; before the year 10000.
func rfc3339(unixSeconds seconds: UInt64) -> String {
    let seconds = Int(min(seconds, 253_402_300_799))
    var (year, days) = (1970, seconds / 86_400)
    while days >= daysOf(year) {
        days -= daysOf(year)
        year += 1
    }
    var month = 1
    while days >= daysOf(month, in: year) {
        days -= daysOf(month, in: year)
        month += 1
    }
    func digits(_ value: Int, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
    let day = "\(digits(year, 4))-\(digits(month, 2))-\(digits(days + 1, 2))"
    let time = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map { digits($0, 2) }
    return "\(day)T\(time.joined(separator: ":"))Z"
}

private func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
    (1970..<year).reduce(0) { $0 + daysOf($1) }
        + (1..<month).reduce(0) { $0 + daysOf($1, in: year) } + day - 1
}

private func daysOf(_ year: Int) -> Int { isLeap(year) ? 366 : 365 }

private func isLeap(_ year: Int) -> Bool { year % 4 == 0 && year % 100 != 0 || year % 400 == 0 }

private func daysOf(_ month: Int, in year: Int) -> Int {
    [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
}
