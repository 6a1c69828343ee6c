/**
 * Sessions on demand: made when first needed, kept while they can do what is asked, and made anew, in place of the
 * old one, when more is asked. A network's weights are therefore never in memory twice.
 */

/** Something that holds memory outside of JavaScript. */
export interface Disposable {
  dispose(): Promise<void>;
}

/** See the file's header. */
export interface Renewable<Needs, T> {
  /** The value for these needs. Calls wait for each other. */
  get(needs: Needs): Promise<T>;
  /** Gives the memory back; `get` makes the value again. */
  release(): Promise<void>;
}

/**
 * @param merge the needs of a new value, from what the old one could do and what is asked now; the old needs themselves
 *   when the old value will do
 */
export function renewable<Needs, T extends Disposable>(
  make: (needs: Needs) => Promise<T>,
  merge: (old: Needs, asked: Needs) => Needs,
): Renewable<Needs, T> {
  let current: { readonly needs: Needs; readonly value: T } | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <R>(action: () => Promise<R>): Promise<R> => {
    const result = queue.then(action);
    queue = result.catch(() => undefined);
    return result;
  };
  const release = async () => {
    const old = current;
    current = undefined;
    await old?.value.dispose();
  };
  return {
    get: (asked) =>
      inTurn(async () => {
        const needs = current === undefined ? asked : merge(current.needs, asked);
        if (current !== undefined && needs === current.needs) return current.value;
        await release();
        const value = await make(needs);
        current = { needs, value };
        return value;
      }),
    release: () => inTurn(release),
  };
}
