/** Optimisers as graphs: one update of a flat parameter vector, written with traced operations. */
import type { Sym } from "../../graph/primitives.ts";

/** What one update works on. All vectors have the parameters' length. */
export interface UpdateInputs {
  readonly parameters: Sym;
  readonly gradient: Sym;
  /** The optimiser's own vectors by name. */
  readonly state: Readonly<Record<string, Sym>>;
  /** float32 scalar. */
  readonly learningRate: Sym;
  /** Number of this update, from 1, as a float32 scalar. */
  readonly step: Sym;
}

/** What an update gives. */
export interface Update {
  readonly parameters: Sym;
  readonly state: Readonly<Record<string, Sym>>;
}

/** An optimiser: the names of its state vectors (zeros at first) and its update. */
export interface Optimiser {
  readonly name: string;
  readonly state: readonly string[];
  update(inputs: UpdateInputs): {
    readonly parameters: Sym;
    readonly state: Readonly<Record<string, Sym>>;
  };
}
