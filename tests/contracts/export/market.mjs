// A marketplace put together from exported files alone, by ethers, as a deploy script for Hardhat does it:
//   node market.mjs ETHERS EXPORTED RPC VARIANT
// It prints one JSON object with what the chain says of the result.

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [ethersFile, folder, url, variant] = process.argv.slice(2);
const ethers = await import(pathToFileURL(ethersFile));

const ADD = 0;
const RECEIVE = '0x00000000';
const FALLBACK = '0xffffffff';

// Test mnemonic of development chains, accounts 0 and 1. A block is mined for every transaction.
const provider = new ethers.JsonRpcProvider(url, undefined, { staticNetwork: true, cacheTimeout: -1 });
provider.pollingInterval = 20;
const phrase = ethers.Mnemonic.fromPhrase('test test test test test test test test test test test junk');
const signer = (index) =>
    new ethers.NonceManager(
        ethers.HDNodeWallet.fromMnemonic(phrase, `m/44'/60'/0'/0/${index}`).connect(provider),
    );
const owner = signer(0);
const user = signer(1);

const artifact = (name) => JSON.parse(readFileSync(`${folder}/${name}.json`));
const at = (name, address, runner = owner) => new ethers.Contract(address, artifact(name).abi, runner);
const plain = (value) => JSON.parse(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}` : item)));

async function deploy(name, ...args) {
    const { abi, bytecode } = artifact(name);
    const contract = await new ethers.ContractFactory(abi, bytecode, owner).deploy(...args);
    await contract.waitForDeployment();
    return contract.getAddress();
}

const mined = async (sending) => (await sending).wait();

// What a facet answers, by its ABI alone.
function selectors(name) {
    const face = new ethers.Interface(artifact(name).abi);
    const found = face.fragments.filter((entry) => entry.type === 'function').map((entry) => entry.selector);
    if (face.receive) found.push(RECEIVE);
    if (face.fallback) found.push(FALLBACK);
    return found;
}

const isToken = variant === 'token';
const facets = [
    'IexecAccessorsABILegacyFacet',
    'IexecCategoryManagerFacet',
    'IexecConfigurationExtraFacet',
    'IexecConfigurationFacet',
    isToken ? 'IexecEscrowTokenFacet' : 'IexecEscrowNativeFacet',
    'IexecOrderManagementFacet',
    'IexecPoco1Facet',
    'IexecPoco2Facet',
    'IexecPocoAccessorsFacet',
    'IexecPocoBoostFacet',
    'IexecPocoBoostAccessorsFacet',
    'IexecRelayFacet',
];

const rlc = isToken ? await deploy('RLC') : ethers.ZeroAddress;
const init = await deploy('DiamondInit');
const cuts = [];
for (const name of ['DiamondCutFacet', 'DiamondLoupeFacet', 'OwnershipFacet']) {
    cuts.push({ facetAddress: await deploy(name), action: ADD, functionSelectors: selectors(name) });
}
const hub = await deploy('Diamond', cuts, {
    owner: await owner.getAddress(),
    init,
    initCalldata: new ethers.Interface(artifact('DiamondInit').abi).encodeFunctionData('init'),
});

// Before the escrow is linked, unknown functions are refused with an error of the diamond's ABI.
let refusal;
try {
    await provider.call({ to: hub, data: '0xdeadbeef' });
} catch (error) {
    refusal = new ethers.Interface(artifact('Diamond').abi).parseError(error.data);
}

const loupe = at('DiamondLoupeFacet', hub);
const events = [];
for (const name of facets) {
    const known = new Set((await loupe.facets()).flatMap((facet) => [...facet.functionSelectors]));
    const added = selectors(name).filter((selector) => !known.has(selector));
    const cut = [{ facetAddress: await deploy(name), action: ADD, functionSelectors: added }];
    const receipt = await mined(at('DiamondCutFacet', hub).diamondCut(cut, ethers.ZeroAddress, '0x'));
    events.push(new ethers.Interface(artifact('DiamondCutFacet').abi).parseLog(receipt.logs[0]).args.toObject(true));
}

const registries = {};
for (const kind of ['App', 'Dataset', 'Workerpool']) {
    const name = `${kind}Registry`;
    registries[kind] = await deploy(name);
    await mined(at(name, registries[kind]).initialize(ethers.ZeroAddress));
    await mined(at(name, registries[kind]).setBaseURI(`https://example.org/${kind}/`));
}

const face = at(isToken ? 'IexecInterfaceToken' : 'IexecInterfaceNative', hub);
await mined(
    face.configure(
        rlc, 'Staked RLC', 'SRLC', 9, registries.App, registries.Dataset, registries.Workerpool, ethers.ZeroAddress,
    ),
);
await mined(face.createCategory('XS', '""', 300));

// An asset, at the address that follows from the proxy's code as clients reckon it.
const appRegistry = at('AppRegistry', registries.App);
const fields = ['name', 'DOCKER', '0x6d756c7469', ethers.id('checksum'), '0x'];
const someone = await user.getAddress();
const receipt = await mined(appRegistry.createApp(someone, ...fields));
const minted = appRegistry.interface.parseLog(receipt.logs[0]);
const proxy = artifact('InitializableUpgradeabilityProxy').bytecode;
const call = new ethers.Interface(artifact('App').abi).encodeFunctionData('initialize', fields);
const salt = ethers.solidityPackedKeccak256(['bytes', 'address'], [call, someone]);
const foretold = ethers.getCreate2Address(registries.App, salt, ethers.keccak256(proxy));

// A deposit, and what the hub says of it.
let deposit;
if (isToken) {
    deposit = await mined(at('RLC', rlc).approveAndCall(hub, 1000n, '0x'));
} else {
    deposit = await mined(face['deposit()']({ value: 1000n * 10n ** 9n }));
}
const transfers = deposit.logs
    .filter((log) => log.address === hub)
    .map((log) => face.interface.parseLog(log))
    .map((event) => [event.name, event.args.toObject(true)]);
const [stake, locked] = Object.values((await face.viewAccount(await owner.getAddress())).toObject());

console.log(
    JSON.stringify(
        plain({
            facets: (await loupe.facets()).map((facet) => facet.functionSelectors.length),
            interfaces: await Promise.all(
                ['0x01ffc9a7', '0x1f931c1c', '0x48e2b093', '0x7f5828d0'].map((id) => loupe.supportsInterface(id)),
            ),
            refusal: [refusal.name, refusal.args.toObject(true)],
            cut: Object.keys(events[0]),
            owner: (await face.owner()) === (await owner.getAddress()),
            token: (await face.token()) === rlc,
            category: (await face.viewCategory(0)).toObject(true),
            minted: [minted.name, Object.keys(minted.args.toObject(true)), minted.args.from, minted.args.to === someone],
            foretold: [foretold, await appRegistry.predictApp(someone, ...fields), ethers.toBeHex(minted.args.tokenId, 20)]
                .map(ethers.getAddress),
            proxyCode: (await appRegistry.proxyCode()) === proxy,
            app: (await face.viewApp(foretold)).toObject(true),
            transfers: transfers.map(([name, args]) => [name, Object.keys(args), args.value]),
            account: { stake, locked },
            deal: Object.keys((await at('IexecPocoAccessorsFacet', hub).viewDeal(ethers.ZeroHash)).toObject(true)),
        }),
    ),
);
provider.destroy();
