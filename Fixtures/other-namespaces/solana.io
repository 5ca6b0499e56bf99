// Solana: recorded notifications, requests written around them by other-namespaces.py
// @0.000 open
>> {"jsonrpc":"2.0","id":1,"method":"logsSubscribe","params":["all"]}
<< {"jsonrpc":"2.0","id":1,"result":24040}
>> {"jsonrpc":"2.0","id":2,"method":"logsSubscribe","params":["all"]}
<< {"jsonrpc":"2.0","id":2,"result":24040}
<< {"jsonrpc":"2.0","method":"logsNotification","params":{"result":{"context":{"slot":5208469},"value":{"signature":"5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv","err":null,"logs":["BPF program 83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri success"]}},"subscription":24040}}
<< {"jsonrpc":"2.0","method":"logsNotification","params":{"result":{"context":{"slot":5208469},"value":{"signature":"5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2sUYv","err":null,"logs":["BPF program 83astBRguLMdt2h5U1Tpdq5tjFoJ6noeGwaY3mDLVcri success"]}},"subscription":24040}}
>> {"jsonrpc":"2.0","id":3,"method":"slotSubscribe","params":[]}
<< {"jsonrpc":"2.0","id":3,"result":0}
<< {"jsonrpc":"2.0","method":"slotNotification","params":{"result":{"parent":75,"root":44,"slot":76},"subscription":0}}
>> {"jsonrpc":"2.0","id":4,"method":"rootSubscribe","params":[]}
<< {"jsonrpc":"2.0","id":4,"result":1}
<< {"jsonrpc":"2.0","method":"rootNotification","params":{"result":4,"subscription":1}}
>> {"jsonrpc":"2.0","id":5,"method":"accountSubscribe","params":["11111111111111111111111111111111"]}
<< {"jsonrpc":"2.0","id":5,"result":46133}
<< {"jsonrpc":"2.0","method":"accountNotification","params":{"result":{"context":{"slot":80221533},"value":{"data":["","base64"],"executable":false,"lamports":41083620,"owner":"11111111111111111111111111111111","rentEpoch":185}},"subscription":46133}}
>> {"jsonrpc":"2.0","id":6,"method":"logsUnsubscribe","params":[24040]}
<< {"jsonrpc":"2.0","id":6,"result":true}
