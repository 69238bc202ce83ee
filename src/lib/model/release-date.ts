/** The earliest time that a clock can show where this release runs. A clock that shows less is wrong. */

/** ISO 8601, UTC: no release of this major version is older. `atlas init` refuses to make a root before it. */
export const RELEASED = '2026-11-01T00:00:00.000Z'
