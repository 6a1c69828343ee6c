/**
 * The error family of nijimi.
 *
 * Every error that a user can cause is a {@link NijimiError} whose message says what was attempted,
 * what was got, what was expected and what to do. `code` is stable and meant for programs.
 * A broken invariant of nijimi itself is an {@link InternalError}; its message starts with `internal:`.
 */

/** Stable machine-readable kinds of error. */
export type ErrorCode =
  | "shape" // tensor shapes do not fit an operation or a declared input
  | "dtype" // an element type is not accepted here
  | "option" // an option, name or value is unknown or out of range
  | "file" // a file is missing, unreadable or not writable
  | "format" // a file's content is not what its format allows
  | "unsafe" // a file asks for something that is never done (code execution, path traversal)
  | "unsupported" // recognised, but deliberately not handled
  | "checkpoint" // weights are missing, unexpected or do not fit the model
  | "device" // a device or backend is not there
  | "memory" // an allocation failed or would exceed a limit
  | "runtime" // the engine refused a graph or failed while running it
  | "numeric" // NaN or infinity where a number is needed
  | "network" // a download failed
  | "cancelled" // the caller's AbortSignal fired
  | "internal"; // an invariant of nijimi is broken

/** Base class of all errors that nijimi throws on purpose. */
export class NijimiError extends Error {
  readonly code: ErrorCode;

  /**
   * @param code stable kind of the error
   * @param message one sentence or more: what, got, expected, what to do
   * @param options `cause`: the error that led here
   */
  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NijimiError";
    this.code = code;
  }
}

/** A broken invariant of nijimi: a bug to report, never the user's fault. */
export class InternalError extends NijimiError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super("internal", `internal: ${message}`, options);
    this.name = "InternalError";
  }
}

/** True for errors of this family, also across two copies of the package. */
export function isNijimiError(error: unknown): error is NijimiError {
  return (
    error instanceof Error &&
    typeof (error as { code?: unknown }).code === "string" &&
    /^(NijimiError|InternalError)$/.test(error.name)
  );
}

/** Throws an {@link InternalError} unless `condition` holds. For invariants only, never for user input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InternalError(message);
}

/**
 * Returns the error for an unknown name, listing the nearest accepted ones first.
 *
 * @example
 * throw unknownName("sampler", "eulr", ["euler", "heun"]); // unknown sampler "eulr"; did you mean "euler"? …
 */
export function unknownName(what: string, got: string, accepted: readonly string[]): NijimiError {
  const near = nearestNames(got, accepted);
  const hint =
    near.length > 0 ? ` Did you mean ${near.map((n) => JSON.stringify(n)).join(" or ")}?` : "";
  return new NijimiError(
    "option",
    `Unknown ${what} ${JSON.stringify(got)}.${hint} Accepted: ${accepted.join(", ")}.`,
  );
}

/** The accepted names closest to `got` by edit distance (case-insensitive), at most `limit`, nearest first. */
export function nearestNames(got: string, accepted: readonly string[], limit = 3): string[] {
  const wanted = got.toLowerCase();
  return accepted
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(
      ({ name, distance }) =>
        distance <= Math.max(2, Math.floor(Math.max(name.length, wanted.length) / 3)),
    )
    .sort((a, b) => a.distance - b.distance || a.name.length - b.name.length)
    .slice(0, limit)
    .map(({ name }) => name);
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(previous[j] + 1, row[j - 1] + 1, substitution));
    }
    previous = row;
  }
  return previous[b.length];
}
