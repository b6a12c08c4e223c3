import assert from "node:assert/strict";

// Both headers make a browser or a server suspicious in other places; here they only have to arrive.
const arrives = (name, value) => ({
  async run({ open }) {
    const socket = await open({ extraHeaders: { [name]: value } });
    assert.equal(await socket.emitWithAck("header", name.toLowerCase()), value);
    assert.equal(await socket.emitWithAck("header", "x-absent"), null);
  },
});

export const scenarios = {
  an_authorization_header: arrives("Authorization", "Bearer a.b-c"),
  a_cookie_header: arrives("Cookie", 'session="of the host"; other=1'),
};
