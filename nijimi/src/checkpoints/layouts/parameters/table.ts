/** Tables of parameters written down layer by layer. */

/** Shapes by parameter name, in the order of the network's modules. */
export type ParameterTable = Map<string, readonly number[]>;

/** A square two-dimensional convolution: [out, in, kernel, kernel] and its bias. */
export function conv2d(
  table: ParameterTable,
  path: string,
  input: number,
  output: number,
  kernel: number,
  bias = true,
): void {
  table.set(`${path}.weight`, [output, input, kernel, kernel]);
  if (bias) table.set(`${path}.bias`, [output]);
}

/** A linear layer: [out, in] and its bias. */
export function linear(
  table: ParameterTable,
  path: string,
  input: number,
  output: number,
  bias = true,
): void {
  table.set(`${path}.weight`, [output, input]);
  if (bias) table.set(`${path}.bias`, [output]);
}

/** A group or layer norm with scale and shift. */
export function norm(table: ParameterTable, path: string, channels: number): void {
  table.set(`${path}.weight`, [channels]);
  table.set(`${path}.bias`, [channels]);
}
