// What the two dialects call the things that these conversations need.

export const ga = {
  text: 'response.output_text',
  audio: 'response.output_audio',
  transcript: 'response.output_audio_transcript',

  settings({ speaks, detects = null, tools = [] }) {
    const format = { type: 'audio/pcm', rate: 24000 };
    const transcription = { model: 'whisper-1' };
    return {
      type: 'realtime',
      output_modalities: [speaks ? 'audio' : 'text'],
      audio: {
        input: { format, transcription, turn_detection: detects },
        output: { format, voice: 'marin' },
      },
      tools,
      tool_choice: 'auto',
    };
  },
};

export const preview = {
  text: 'response.text',
  audio: 'response.audio',
  transcript: 'response.audio_transcript',

  settings({ speaks, detects = null, tools = [] }) {
    return {
      modalities: speaks ? ['text', 'audio'] : ['text'],
      input_audio_format: 'pcm16',
      input_audio_transcription: { model: 'whisper-1' },
      turn_detection: detects,
      output_audio_format: 'pcm16',
      voice: 'alloy',
      tools,
      tool_choice: 'auto',
    };
  },
};
