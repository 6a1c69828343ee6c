/**
 * Parameter tables: the names and shapes that a network with a given config must have, worked out without
 * building it. Loading compares a file with its table, so that what is missing, left over or of another
 * shape is known before anything is read or allocated.
 */

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

/** Two linear layers with an activation between them, as timesteps and classes are embedded. */
export function embeddingMlp(
  table: ParameterTable,
  path: string,
  input: number,
  width: number,
): void {
  linear(table, `${path}.linear_1`, input, width);
  linear(table, `${path}.linear_2`, width, width);
}
