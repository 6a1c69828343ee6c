/** `nijimi version` */
import { defineCommand } from "../command.ts";
import { readVersion } from "../package-version.ts";

export const command = defineCommand({
  description: "Print the versions of nijimi and Node",
  options: {},
  examples: [
    { command: "version", description: "As a line" },
    { command: "version --json", description: "For a program" },
  ],
  run(_values, { result }) {
    const versions = {
      nijimi: readVersion(),
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
    };
    result(
      versions,
      ({ nijimi, node, platform }) => `nijimi ${nijimi} (Node ${node}, ${platform})`,
    );
  },
});
