// SPDX-License-Identifier: Apache-2.0

internal import CLibBPF

/// Size and members of a C structure, in bytes, as BTF records them.
public struct TypeLayout: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public let name: String
        public let offset: Int
        public let size: Int
    }

    public let size: Int
    public let members: [Member]
}

/// The type information of an opened object, which owns it.
struct BTF {
    /// Numbers of linux/btf.h, which two headers define with different types.
    private enum Kind {
        static let structure: UInt32 = 4
        static let section: UInt32 = 15
    }

    private let handle: OpaquePointer

    init?(of object: OpaquePointer) {
        guard let handle = bpf_object__btf(object) else { return nil }
        self.handle = handle
    }

    func layout(ofStruct name: String) -> TypeLayout? {
        let id = btf__find_by_name_kind(handle, name, Kind.structure)
        guard id > 0, let type = btf__type_by_id(handle, UInt32(id)),
            let members = btf_members(type)
        else { return nil }
        let list = (0..<UInt32(btf_vlen(type))).map { index in
            let member = members[Int(index)]
            return TypeLayout.Member(
                name: String(cString: btf__name_by_offset(handle, member.name_off)),
                offset: Int(btf_member_bit_offset(type, index) / 8),
                size: Int(btf__resolve_size(handle, member.type)))
        }
        return TypeLayout(size: Int(btf__resolve_size(handle, UInt32(id))), members: list)
    }

    /// Where a global variable lies in its section.
    func variable(_ name: String, section: String) -> (offset: Int, size: Int)? {
        let id = btf__find_by_name_kind(handle, section, Kind.section)
        guard id > 0, let type = btf__type_by_id(handle, UInt32(id)),
            let variables = btf_var_secinfos(type)
        else { return nil }
        for index in 0..<Int(btf_vlen(type)) {
            let entry = variables[index]
            guard let variable = btf__type_by_id(handle, entry.type),
                String(cString: btf__name_by_offset(handle, variable.pointee.name_off)) == name
            else { continue }
            return (Int(entry.offset), Int(entry.size))
        }
        return nil
    }
}
