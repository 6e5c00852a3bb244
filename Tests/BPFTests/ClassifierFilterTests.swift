// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BPF

@Suite("filters for kernels without tcx", .tags(.kernel))
struct ClassifierFilterTests {
    @Test("attaching again replaces the filter; detaching twice is success")
    func filter() throws {
        let story = try inOwnNamespace {
            let map = try ring()
            let reporter = try Program(
                loading: TestProgram.reporting(to: map.descriptor.rawValue),
                kind: .trafficControl, name: "report")
            let silent = try Program(
                loading: TestProgram.returning(.max), kind: .trafficControl, name: "silent")
            let ring = try RingBuffer(map)
            func seen() throws -> Int {
                try sendToLoopback()
                return try ring.consume { _ in }
            }
            let filter = ClassifierFilter(interface: 1, direction: .ingress)
            var story = ["\(filter.isPresent)"]
            try filter.attach(silent)
            story.append("\(filter.isPresent) \(try seen())")
            try filter.attach(reporter)
            story.append("\(try seen())")
            try filter.detach()
            story.append("\(filter.isPresent) \(try seen())")
            try filter.detach()
            return story
        }
        #expect(story == ["false", "true 0", "1", "false 0"])
    }
}
