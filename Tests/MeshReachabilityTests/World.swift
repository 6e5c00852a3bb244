// SPDX-License-Identifier: Apache-2.0

import MeshSimulation

/// Of relays only, unless it says otherwise.
typealias World = MeshWorld
