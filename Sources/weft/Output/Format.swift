// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshModel

/// How quantities are shown to people.
enum Format {
    /// `850ms`, `1.5s`, `42s`, `3m12s`, `5h3m`, `4d7h`; empty for nil.
    static func age(_ seconds: Double?) -> String {
        seconds.map(ageText) ?? ""
    }

    /// `512 B`, `1.5 KiB`, `50.0 MiB`, ….
    static func bytes(_ count: UInt64) -> String {
        guard count >= 1024 else { return "\(count) B" }
        var tenths = (Double(count) / 102.4).rounded()
        var units = ["KiB", "MiB", "GiB", "TiB", "PiB"][...]
        while tenths >= 10_240, units.count > 1 {
            tenths = (tenths / 1024).rounded()
            units.removeFirst()
        }
        return "\(Int(tenths) / 10).\(Int(tenths) % 10) \(units[units.startIndex])"
    }

    /// `0.42ms`, `80.0ms`; empty for nil.
    static func milliseconds(_ value: Double?) -> String {
        guard let value, value.isFinite else { return "" }
        let hundredths = Int(min(max(value, 0), 1e9) * 100 + 0.5)
        func pad(_ fraction: Int) -> String { fraction < 10 ? "0\(fraction)" : "\(fraction)" }
        return hundredths < 1000
            ? "\(hundredths / 100).\(pad(hundredths % 100))ms"
            : "\(hundredths / 100).\(hundredths % 100 / 10)ms"
    }

    /// `a=1,b=2`, sorted.
    static func labels(_ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    /// `10.0.0.7:80`, `[fd00::7]:80`.
    static func socket(_ address: String, _ port: UInt16) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    /// `1:256`, `world`; empty while there is none.
    static func identity(_ number: UInt32) -> String {
        number == 0 ? "" : "\(Identity(rawValue: number))"
    }

    static func yes(_ flag: Bool) -> String { flag ? "yes" : "no" }

    /// `2026-11-22T12:30:01Z`.
    static func date(unixSeconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(unixSeconds)).ISO8601Format()
    }

    /// `2026-11-22T12:30:01.250Z`.
    static func time(unixMilliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(unixMilliseconds) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
