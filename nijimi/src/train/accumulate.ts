/** Arithmetic on flat gradients, in place. */

/** total ← total + addend */
export function addInto(total: Float32Array, addend: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i] += addend[i];
}

/** values ← factor · values */
export function scaleInto(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
}
