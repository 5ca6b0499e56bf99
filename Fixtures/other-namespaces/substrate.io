// Substrate: recorded notifications, requests written around them by other-namespaces.py
// @0.000 open
>> {"jsonrpc":"2.0","id":1,"method":"chain_subscribeNewHead","params":[]}
<< {"jsonrpc":"2.0","id":1,"result":"wSKybsRsQYlGu3fH"}
<< {"jsonrpc":"2.0","method":"chain_newHead","params":{"subscription":"wSKybsRsQYlGu3fH","result":{"parentHash":"0x028a7556cc223aa9fa8e54441d5ef663bd457876bba8baca5191b91bd45eb43d","number":"0x9b28c9","stateRoot":"0xe4c6988ee929944c00f6bb40f71b952607e7aacea05ba55317404c5cadbc30ba","extrinsicsRoot":"0x405375c6fac1245917da867bca46f94b22707a6185b92318d112318ae5640e2f","digest":{"logs":["0x06424142453402130000002904fa2100000000","0x05424142450101848a89b4c95cc94a0283bf5d527a71b777f52d6340a8792da2f6ff9e4c93ae1e48c3fed7486901988c63da2bbd60f3684d7f7855ecd8f3de423d565f5fce6583"]}}}}
<< {"jsonrpc":"2.0","method":"chain_newHead","params":{"subscription":"wSKybsRsQYlGu3fH","result":{"parentHash":"0x584661f8cff31a1e1fbf19da104b028dee180d87e04f28aaa3631a0b2d3c4f2b","number":"0x9a2823","stateRoot":"0xeb7105f6b33409d7d45bf0d5907d10923ca3d70298454d04e782893c7bef6439","extrinsicsRoot":"0x53d4b4ed6b5ba0cb54cce6b639f98593184ef6ac0b887f01e187fc29afc0758a","digest":{"logs":["0x06424142453402210000007903f92100000000","0x05424142450101fa3b1d23a94155410ef59845b34e2563b9ecae0a307dcef1e1e2975c41dc5c116e519312ec9cad20c044f13da734ea2ade101e4fa55fcf020751e2365a99d484"]}}}}
>> {"jsonrpc":"2.0","id":2,"method":"chain_subscribeFinalizedHeads","params":[]}
<< {"jsonrpc":"2.0","id":2,"result":5812358905834954}
<< {"jsonrpc":"2.0","method":"chain_finalizedHead","params":{"subscription":5812358905834954,"result":{"digest":{"logs":[{"Seal":[256804359,"0x2c0e0ee8a5d1a073da3f8db002b8eaebcd7b1a7eb25662e09f9ef0ac58d96bf17896256cd5f0bc672f96aab49fe5163ca5cb4c1a0f047dc39e89cd4a9eb2ea05"]}]},"extrinsicsRoot":"0x1da0d30001d07991baef3c5c65234c2e88bec659dc0d7138a7e7267e2bacbeb7","number":"0xb66","parentHash":"0xb58e4d84c2e0db1cdc8c8830aa719015f8c855f29a0dff2b158a160f29f73ba0","stateRoot":"0x22f6f5b6992ab87ea5f52b2732ed9e22a88643ed3a97251986857633687fbc54"}}}
<< {"jsonrpc":"2.0","method":"chain_finalizedHead","params":{"subscription":5812358905834954,"result":{"digest":{"logs":["0x0461757261210169c97e0f00000000479c09f7ace12ed3e1af2dba6cca6831e257e80feef56c7474d6c69bae6f4e8a6e0045a87afe14296992c38b7d55abcbe617c441cd35e8667abbcb1678f31802"]},"extrinsicsRoot":"0x4133a7c2e9ab3d0c75f93bfba8730011668c697036adb2f22916a8731f68c2fa","number":"0x193046","parentHash":"0x596b8c3ced242052921135e9b44dba2ba3752b2a92f1cfa361d59b10016cb5b0","stateRoot":"0xd9d32d2f3f4af14c506aa59ff5a3132ca0fe5d7f82cdf1e4967a638042e849a6"}}}
>> {"jsonrpc":"2.0","id":3,"method":"author_submitAndWatchExtrinsic","params":["0x280403000b1fe3b4a48701"]}
<< {"jsonrpc":"2.0","id":3,"result":9}
<< {"jsonrpc":"2.0","method":"author_extrinsicUpdate","params":{"subscription":9,"result":"ready"}}
<< {"jsonrpc":"2.0","method":"author_extrinsicUpdate","params":{"subscription":9,"result":{"broadcast":["12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"]}}}
<< {"jsonrpc":"2.0","method":"author_extrinsicUpdate","params":{"result":{"finalized":"0xc465b92a72b1d20918d64cd4effa70c2bb58b53a3f8c24c3ac8fd8f465f059b4"},"subscription":9}}
>> {"jsonrpc":"2.0","id":4,"method":"subscribe_hello","params":[]}
<< {"jsonrpc":"2.0","id":4,"result":"3px4FrtxSYQ1zBKW154NoVnrDhrq764yQNCXEgZyM6Mu"}
<< {"jsonrpc":"2.0","method":"subscribe_hello","params":{"subscription":"3px4FrtxSYQ1zBKW154NoVnrDhrq764yQNCXEgZyM6Mu","result":"hello my friend"}}
>> {"jsonrpc":"2.0","id":5,"method":"my_subscribe","params":[]}
<< {"jsonrpc":"2.0","id":5,"result":5812358905834955}
<< {"jsonrpc":"2.0","method":"my_sub","params":{"subscription":5812358905834955,"result":1}}
<< {"jsonrpc":"2.0","method":"my_sub","params":{"subscription":5812358905834955,"error":{"number":11,"address":"State street 1337"}}}
