// A page that calls a realtime server as the documents show it, with nothing but what browsers have.

import { Ear } from './browser_ear.mjs';
import { Story } from './browser_story.mjs';

const openMicrophone = () => navigator.mediaDevices.getUserMedia({ audio: true });

class Caller {
  story = new Story();
  ear = new Ear();

  #connection = new RTCPeerConnection();
  #channel;
  #microphone;
  #sender;

  // Call *url*. What the server answered to the offer: a call comes of it if that is SDP.
  async connect({ url, headers, label = 'oai-events', gathers = false }) {
    const connection = this.#connection;
    connection.ontrack = ({ streams: [stream] }) => {
      document.querySelector('audio').srcObject = stream;
      this.ear.listen(stream);
    };
    this.#microphone = await openMicrophone();
    this.#sender = connection.addTrack(this.#microphone.getTracks()[0]);
    this.#channel = connection.createDataChannel(label);
    this.#channel.onmessage = ({ data }) => this.story.tell(JSON.parse(data));
    this.#channel.onclose = () => this.story.end('the channel closed');

    await connection.setLocalDescription(await connection.createOffer());
    if (gathers) await gathered(connection);
    const answer = await fetch(url, {
      method: 'POST',
      body: connection.localDescription.sdp,
      headers: { ...headers, 'Content-Type': 'application/sdp' },
    });
    const said = await answer.text();
    if (answer.ok) await connection.setRemoteDescription({ type: 'answer', sdp: said });
    return { status: answer.status, location: answer.headers.get('Location'), said };
  }

  async speak() {
    for (const track of this.#microphone.getTracks()) track.stop();
    this.#microphone = await openMicrophone();
    await this.#sender.replaceTrack(this.#microphone.getTracks()[0]);
  }

  say(event) {
    this.#channel.send(JSON.stringify(event));
  }

  hangUp() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#connection.close();
  }
}

// Most pages offer before any candidate is known. Some wait for all of them.
const gathered = (connection) =>
  new Promise((resolve) => {
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === 'complete') resolve();
    };
  });

window.caller = new Caller();
