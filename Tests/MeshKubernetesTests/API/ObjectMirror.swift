// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel

/// A consumer as the contract of ``ObjectEvent`` wants it: marks, sweeps, and holds the texts.
struct ObjectMirror {
    private(set) var objects: [String: [UInt8]] = [:]
    private var marks: Set<String>?
    private(set) var health: [FeedHealth.Phase] = []
    private(set) var lists = 0
    private(set) var largestPage = 0
    private(set) var violations: [String] = []

    mutating func receive(_ event: ObjectEvent) {
        switch event {
        case .listBegan: marks = []
        case .listed(let page):
            largestPage = max(largestPage, page.count)
            if marks == nil { violations.append("listed outside a list") }
            for object in page {
                marks?.insert("\(object.name)")
                objects["\(object.name)"] = Self.plain(object)
            }
        case .listEnded:
            guard let marks else { return violations.append("ended outside a list") }
            objects = objects.filter { marks.contains($0.key) }
            self.marks = nil
            lists += 1
        case .changed(let object):
            if marks != nil { violations.append("changed within a list") }
            objects["\(object.name)"] = Self.plain(object)
        case .removed(let name, _):
            objects["\(name)"] = nil
            marks?.remove("\(name)")
        case .reached: break
        case .health(let health): self.health.append(health.phase)
        }
    }

    /// Watches name the kind of each object, lists of built-in types don't.
    private static func plain(_ object: ObjectText) -> [UInt8]? {
        let kind = Array(#"{"kind":"Pod","apiVersion":"v1","#.utf8)
        guard let json = object.json, json.starts(with: kind) else { return object.json }
        return [UInt8(ascii: "{")] + json.dropFirst(kind.count)
    }

    mutating func note(_ phase: FeedHealth.Phase) { health.append(phase) }
}
