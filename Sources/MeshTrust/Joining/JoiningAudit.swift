// SPDX-License-Identifier: Apache-2.0

extension JoinRefusal: AuditPrintable {}
extension RosterEvent: AuditPrintable {}
extension RosterFault: AuditPrintable {}
extension TokenID: AuditPrintable {}
extension TokenSubject: AuditPrintable {}
