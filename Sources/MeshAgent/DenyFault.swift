// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshTrust

/// Why an operator's wish about denials isn't carried out.
enum DenyFault: Error, Hashable {
    case notHome(String)
    case notDenied(DenySubject)
    /// The list would exceed what a ledger's record holds.
    case full
    /// The denial would strike the authority that signs it, or the node it is on.
    case oneself
}

extension AuditActor {
    /// Whoever may use the administration socket is the agent's own user.
    static var operatorHere: AuditActor { .user(geteuid()) }
}

extension DenySubject {
    var auditSubject: AuditSubject? {
        if case .identity(let id) = self { .identity(id) } else { nil }
    }
}
