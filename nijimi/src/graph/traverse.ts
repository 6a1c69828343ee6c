/** Walking a trace. */
import type { Sym } from "./primitives.ts";

/** All symbols that `outputs` need, each after its dependencies (by default its inputs). Iterative: traces may be tens of thousands deep. */
export function topologicalOrder(
  outputs: readonly Sym[],
  dependencies: (sym: Sym) => readonly Sym[] = (sym) => sym.inputs,
): Sym[] {
  const order: Sym[] = [];
  const visited = new Set<Sym>();
  const pending: { sym: Sym; needs: readonly Sym[]; next: number }[] = [];
  for (const output of outputs) {
    if (visited.has(output)) continue;
    visited.add(output);
    pending.push({ sym: output, needs: dependencies(output), next: 0 });
    while (pending.length > 0) {
      const top = pending[pending.length - 1];
      if (top.next < top.needs.length) {
        const input = top.needs[top.next++];
        if (!visited.has(input)) {
          visited.add(input);
          pending.push({ sym: input, needs: dependencies(input), next: 0 });
        }
      } else {
        order.push(top.sym);
        pending.pop();
      }
    }
  }
  return order;
}
