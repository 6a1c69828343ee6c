/** What a run keeps of every update. */
import type { StepEnd } from "../loop.ts";

/** A line of the log. */
export interface LogLine {
  readonly update: number;
  readonly epoch: number;
  readonly samples: number;
  /** By player. */
  readonly losses: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly gradientNorms: Readonly<Record<string, number>>;
  readonly learningRate: number;
  readonly milliseconds: number;
  readonly waited: number;
}

/** The log's line for an update. */
export function logLine(event: StepEnd): LogLine {
  const { update, epoch, losses, metrics, gradientNorms, learningRate, state } = event;
  const { milliseconds, waited } = event;
  return {
    update,
    epoch,
    samples: state.samples,
    losses,
    metrics,
    gradientNorms,
    learningRate,
    milliseconds: round(milliseconds),
    waited: round(waited),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;
