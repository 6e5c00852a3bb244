// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshTrust
import Testing

@testable import MeshAgent

private let start = Date(timeIntervalSince1970: 1_800_000_000)
private let day: TimeInterval = 86_400

private func renewal(draw: Double) -> CertificateRenewal {
    CertificateRenewal(from: start, to: start + day, draw: draw)
}

@Suite("When a node asks for its next certificate")
struct CertificateRenewalTests {
    @Test(
        "before two thirds of its life are over, earlier or later by the draw",
        arguments: [(0.0, 0.55), (0.5, 0.6), (1.0, 0.65)])
    func due(draw: Double, share: Double) throws {
        var renewal = renewal(draw: draw)
        #expect(try renewal.attempt(now: start + day * share - 1) == nil)
        #expect(try renewal.attempt(now: start + day * share + 1) != nil)
    }

    @Test("until there is an answer, at intervals that double up to five minutes")
    func retries() throws {
        var renewal = renewal(draw: 0.5)
        var attempts: [TimeInterval] = []
        for second in 0..<3600 {
            guard let request = try renewal.attempt(now: renewal.due + TimeInterval(second))
            else { continue }
            _ = try NodeRequest(der: request)
            attempts.append(TimeInterval(second))
        }
        #expect(attempts.prefix(6) == [0, 1, 3, 7, 15, 31])
        #expect(zip(attempts, attempts.dropFirst()).map { $1 - $0 }.max() == 300)
        #expect(renewal.attempts == attempts.count)
    }

    @Test(
        "early enough for an authority that is away for eight hours, whenever they begin",
        arguments: [0, 0.5, 1])
    func outage(draw: Double) throws {
        let outage: TimeInterval = 8 * 3600
        for began in stride(from: 0, to: day, by: 500) {
            var renewal = renewal(draw: draw)
            var renewed: TimeInterval?
            for moment in stride(from: day * 0.5, to: day, by: 10) where renewed == nil {
                let isAsked = try renewal.attempt(now: start + moment) != nil
                if isAsked, !(began..<began + outage).contains(moment) { renewed = moment }
            }
            #expect(renewed != nil, "away from \(began) s on")
        }
    }

    @Test("doesn't wait for the time that a clock had before it was set back")
    func clock() throws {
        var renewal = renewal(draw: 0.5)
        for _ in 0..<12 { _ = try renewal.attempt(now: renewal.due + day * 0.3) }
        let now = renewal.due + 10
        #expect(try renewal.attempt(now: now) != nil)
    }
}
