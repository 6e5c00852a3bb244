// SPDX-License-Identifier: Apache-2.0

public import BPF

/// Why the kernel does not hold what was asked for. Whatever it held before stays in force.
public enum DatapathError: Error, Hashable, Sendable {
    /// `map` has no room for what `action` needed.
    case mapFull(map: String, action: String)
    /// The value itself can't be expressed in the kernel's structures.
    case invalid(String)
    /// Two clusters claim the same prefix.
    case conflict(String)
    case kernel(BPFError)

    /// Names the map when an update found it full.
    init(_ error: BPFError, map: String, action: @autoclosure () -> String) {
        self = error.code == .mapFull ? .mapFull(map: map, action: action()) : .kernel(error)
    }
}

extension DatapathError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .mapFull(let map, let action):
            "\(action): the map \(map) is full; what it held stays in force, raise its capacity"
        case .invalid(let what): what
        case .conflict(let what): what
        case .kernel(let error): "\(error)"
        }
    }
}
