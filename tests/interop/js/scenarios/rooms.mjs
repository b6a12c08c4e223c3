import assert from "node:assert/strict";

// A member notes the news that it gets. What came before an answer has been noted when the answer
// is there, so a round trip shows that nothing more is under way.
async function member(open, ...rooms) {
  const socket = await open();
  const news = [];
  socket.on("news", (text) => news.push(text));
  for (const room of rooms) await socket.emitWithAck("join", room);
  const received = async () => {
    await socket.emitWithAck("answer", null);
    return news.splice(0);
  };
  return { socket, received };
}

export const scenarios = {
  rooms: {
    async run({ open }) {
      const sender = await member(open, "red");
      const both = await member(open, "red", "blue");
      const red = await member(open, "red");
      const blue = await member(open, "blue", "loud");
      const none = await member(open);
      const members = { sender, both, red, blue, none };
      const [inRed, inBlue, isLoud, isNobody] = ["red", "blue", "loud", "nobody is here"].map(
        (room) => ({ room }),
      );
      const id = ({ socket }) => ({ socket: socket.id });

      // (targets, except, who gets it): each of them exactly once, the sender never.
      const cases = [
        [[inRed], [], ["both", "red"]],
        [[inRed, inBlue], [], ["both", "red", "blue"]],
        [[inRed, inBlue], [isLoud], ["both", "red"]],
        [[inRed], [inBlue], ["red"]],
        [[id(none)], [], ["none"]],
        [[inRed, id(both)], [id(red)], ["both"]],
        [[id(sender)], [], []],
        [[isNobody], [], []],
        [[], [], ["both", "red", "blue", "none"]],
        [[], [inRed], ["blue", "none"]],
      ];
      for (const [targets, except, receivers] of cases) {
        const text = JSON.stringify([targets, except]);
        await sender.socket.emitWithAck("send", targets, except, text);
        for (const [name, { received }] of Object.entries(members)) {
          const expected = receivers.includes(name) ? [text] : [];
          assert.deepEqual(await received(), expected, `${name} for ${text}`);
        }
      }
    },
  },
};
