/**
 * What all metrics over many images have in common: a fold with bounded memory. The state is plain data (numbers,
 * typed arrays, arrays and records of them), so that it can be saved, sent to another process and merged there.
 */

/**
 * A metric over a stream of batches.
 *
 * `add` and `merge` may change and return their first argument; the state passed in is not to be used again.
 * Batches in another order, or split between states that are merged, give the same result up to rounding.
 *
 * @example
 * let state = metric.start();
 * for await (const batch of batches) state = await metric.add(state, batch);
 * const result = await metric.finish(state);
 */
export interface StreamingMetric<Batch, State, Result> {
  start(): State;
  add(state: State, batch: Batch): State | Promise<State>;
  merge(a: State, b: State): State | Promise<State>;
  /** The result so far. The state stays usable. */
  finish(state: State): Result | Promise<Result>;
}

/** Runs a metric over batches that are at hand. */
export async function measure<Batch, State, Result>(
  metric: StreamingMetric<Batch, State, Result>,
  batches: Iterable<Batch> | AsyncIterable<Batch>,
): Promise<Result> {
  let state = metric.start();
  for await (const batch of batches) state = await metric.add(state, batch);
  return metric.finish(state);
}
