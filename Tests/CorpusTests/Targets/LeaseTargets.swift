// SPDX-License-Identifier: Apache-2.0

import MeshLease

let leaseTargets: [FuzzTarget] = [
    FuzzTarget("lease-record") {
        let holder = LeaseHolder(node: "node-1", instance: 0x5eed)
        return [LeaseRecord.initial, .init(holder: holder, token: 7, epoch: 6, identities: 1280)]
            .map { Array($0.description.utf8) }
    } check: { bytes in
        try checkParsing(of: String(decoding: bytes, as: UTF8.self), as: LeaseRecord.self)
    }
]
