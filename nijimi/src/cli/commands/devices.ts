/** `nijimi devices` */
import { listDevices } from "../../runtime/session.ts";
import { defineCommand } from "../command.ts";

export const command = defineCommand({
  description: "List the devices that networks can run on",
  options: {},
  examples: [
    { command: "devices", description: "What --device accepts on this machine, the default first" },
    { command: "devices --json", description: "For a program" },
  ],
  async run(_values, { result }) {
    const devices = await listDevices();
    result({ devices, default: devices[0] }, () =>
      devices.map((device, i) => (i === 0 ? `${device} (default)` : device)).join("\n"),
    );
  },
});
