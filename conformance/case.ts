/**
 * One conformance case: `name.json` (what, configuration, tolerance) and, mostly, `name.safetensors` beside it.
 * Cases are data; what runs them is a {@link Suite}.
 */
import type { Tensor } from "nijimi/tensor";

/** A case as found on disk. Tensors are read when first asked for. */
export interface Case {
  /** Path of the JSON below the directory of cases, without `.json`: `"schedulers/ddim_sd"`. */
  readonly id: string;
  /** Absolute path of the folder the case lies in; companion files (`.png`, `.npz`, `.ckpt`) are beside it. */
  readonly folder: string;
  /** Absolute path of the directory of cases. */
  readonly root: string;
  /** The parsed JSON. */
  readonly json: CaseJson;
  /**
   * All tensors of `name.safetensors`, with `weights_from` and `weights_shared` followed; empty when there is no such
   * file. `weights_from: "case"` gives that case's `w.*`, `weights_from: { unet: "case" }` gives them as `w.unet.*`.
   */
  tensors(): Record<string, Tensor>;
  /** Another case of the same root, by id. */
  sibling(id: string): Case;
}

/** The fields every case may have; kinds add their own. */
export interface CaseJson {
  readonly name?: string;
  readonly section?: string;
  readonly function?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly tolerance?: Tolerance;
  readonly tensors?: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly dtype: string }>
  >;
  readonly notes?: readonly string[];
  readonly [key: string]: unknown;
}

/** Passing: |got − expected| ≤ atol + rtol·|expected|; integers and booleans exactly. `per_tensor` maps globs to prose or numbers. */
export interface Tolerance {
  readonly atol?: number;
  readonly rtol?: number;
  readonly per_tensor?: Readonly<Record<string, unknown>>;
}

/** One compared value: its largest error and whether it is within tolerance. */
export interface Comparison {
  readonly name: string;
  /** Largest |got − expected|; 0 for exact matches, Infinity for a shape mismatch or NaN. */
  readonly error: number;
  readonly passed: boolean;
  /** What was wrong, when something was. */
  readonly message?: string;
}

/** Runs one kind of case. A suite is plain data; `conformance/suites/index.ts` lists them. */
export interface Suite {
  /** Kind as printed and as `--only` takes it, e.g. `"ops"`, `"schedulers"`. */
  readonly kind: string;
  /** True for cases of this kind; decided by `function`, `section` and `config`, never by file name. */
  accepts(c: Case): boolean;
  run(c: Case, context: RunContext): Promise<readonly Comparison[]>;
}

/** What the runner passes to a suite. */
export interface RunContext {
  /** Device to compile for: `"cpu"`, `"webgpu"`, `"wasm"`. @default "cpu" */
  readonly device: string;
}
