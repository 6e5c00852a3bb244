// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@Suite("What a node or a cluster can do, and does")
struct WorkloadTests {
    @Test("on the wire it has 8 bytes; no capacity is no word, more than all of it is all")
    func coding() throws {
        func read(_ bytes: [UInt8]) throws -> Workload? {
            var reader = ByteReader(bytes)
            return try reader.readWorkload()
        }
        var writer = ByteWriter()
        writer.write(Workload(capacity: 0x0102_0304, used: 5))
        writer.write(nil as Workload?)
        #expect(writer.bytes == [1, 2, 3, 4, 0, 0, 0, 5] + [UInt8](repeating: 0, count: 8))
        #expect(try read(Array(writer.bytes.prefix(8))) == Workload(capacity: 0x0102_0304, used: 5))
        #expect(try read([0, 0, 0, 0, 0, 0, 0, 5]) == nil)
        #expect(try read([0, 0, 0, 4, 0, 0, 0, 5])?.spare == 0)
        #expect(throws: DecodingFault.truncated) { try read([0, 0, 0, 4, 0, 0, 0]) }
    }

    @Test(
        "those that don't say count like the mean of those that do; sums that don't fit keep their ratio"
    )
    func sums() throws {
        var sum = WorkloadSum()
        #expect(sum.mean == nil && sum.scaled(to: 3) == nil)
        sum.add(try #require(Workload(capacity: 100, used: 50)))
        sum.add(try #require(Workload(capacity: 300, used: 0)))
        #expect(sum.mean == Workload(capacity: 200, used: 25))
        #expect(sum.scaled(to: 3) == Workload(capacity: 600, used: 75))
        for _ in 0..<4 { sum.add(try #require(Workload(capacity: .max, used: .max / 2))) }
        let large = try #require(sum.scaled(to: 6))
        #expect(large.capacity == .max)
        #expect(abs(large.share - 0.5) < 1e-6)
    }
}
